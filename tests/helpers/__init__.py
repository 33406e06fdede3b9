"""What tests share: servers, repositories, files of every kind."""

"""Shared by the tests: servers, repositories, files of every kind."""

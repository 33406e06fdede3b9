"""Features: the format they are stored in, the content-addressed store, and the extraction."""

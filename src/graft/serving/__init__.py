"""Model files and images from anywhere -> predictions: in Python, on the command line, over HTTP.

May import all packages from `graft.config` to `graft.cards`, and `graft.utils`.
"""

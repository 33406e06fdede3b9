"""Images and a backbone -> cached features: each image is embedded once.

May import `graft.config`, `graft.data`, `graft.models` and `graft.utils`.
"""

"""Results -> documents that travel with them: a model's card for Hugging Face, a dataset's in Croissant.

May import all packages from `graft.config` to `graft.sharing`, and `graft.utils`.
"""

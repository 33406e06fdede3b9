"""Models and chosen test images -> heat maps of where the models look.

May import all packages from `graft.config` to `graft.evaluation`, and `graft.utils`.
"""

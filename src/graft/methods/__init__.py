"""Parameters and data -> a trained method: one module each, listed in `registry`.

May import all packages from `graft.config` to `graft.training`, and `graft.utils`.
"""

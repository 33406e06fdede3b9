"""Cached features -> a choice, made on train and validation alone: of a backbone, or of hyper-parameters.

May import all packages from `graft.config` to `graft.serving`, and `graft.utils`.
"""

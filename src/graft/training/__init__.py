"""A model, its inputs and labels -> the model trained, and its history.

May import `graft.config`, `graft.data`, `graft.models`, `graft.features` and `graft.utils`.
"""

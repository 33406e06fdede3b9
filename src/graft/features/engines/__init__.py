"""What runs a backbone: Keras itself, or another engine that makes a model of its own of it.

May import `graft.config`, `graft.data` and `graft.models`.
"""

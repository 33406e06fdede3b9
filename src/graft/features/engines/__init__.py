"""The engines that run a backbone: Keras itself, or one that converts it to a model of its own.

May import `graft.config`, `graft.data` and `graft.models`.
"""

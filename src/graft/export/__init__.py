"""A trained model -> a file for another runtime, proven against Keras before it counts.

May import all packages from `graft.config` to `graft.evaluation`, and `graft.utils`.
"""

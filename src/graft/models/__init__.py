"""A row of params.yaml -> Keras models: backbones, heads, and the files they are saved as.

May import `graft.config`, `graft.data` and `graft.utils`.
"""

"""A row of params.yaml -> the model that it names, up to its feature: a module for each value of `library`.

Each has `outline`, without values and without a network, and `build`, with weights. May import
`graft.config`, `graft.utils`, and of `graft.models` what needs no backbone.
"""

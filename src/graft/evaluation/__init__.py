"""Predictions -> metrics with intervals, and the comparison of methods; without TensorFlow.

May import `graft.config`, `graft.data`, `graft.methods.registry` and `graft.utils`.
"""

"""Metrics, predictions and images -> the page and the table in the terminal; without TensorFlow.

May import all packages from `graft.config` to `graft.explain`, and `graft.utils`.
"""

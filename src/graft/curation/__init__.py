"""Cached features and labels -> a look into one's data: doubtful labels, near-duplicates, neighbours, a map.

May import all packages from `graft.config` to `graft.explain`, and `graft.utils`.
"""

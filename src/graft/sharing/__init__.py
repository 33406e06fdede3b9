"""A repository and its DVC remote -> what a teammate need not compute, and the proof of it.

May import `graft.config` and `graft.utils`, and DVC.
"""

"""A folder of images -> a project of one's own, whose graph is that of graft's repository, and its upgrades.

May import `graft.config`, `graft.sharing` and `graft.utils`.
"""

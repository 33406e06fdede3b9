"""Small tools without a subject of their own: progress, files, timing, memory.

May import nothing of graft; every package may import them.
"""

"""Values of params.yaml -> frozen, validated objects: one module an area, and `load`.

May import nothing of graft.
"""

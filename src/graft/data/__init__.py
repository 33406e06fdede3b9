"""An archive or a folder -> labelled images that decode, and the manifest that splits them.

May import `graft.config` and `graft.utils`.
"""

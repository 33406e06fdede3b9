"""A model behind HTTP: limits, batches, an API, and a page for people.

May import `graft.serving.classifier`, `graft.serving.request_log` and what these may.
"""

"""Numbers -> charts as SVG that stand in the page.

May import what `graft.report` may, and its `costs` and `words`.
"""

"""Several processes or machines that fill one store: Dask's workers, or parts of the rows without any engine.

May import what `graft.features` may, and `graft.features`.
"""

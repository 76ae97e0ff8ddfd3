"""Compute the cells of a plan in separate processes, and store the results.

A fault in one of these processes costs at most the cell that it was computing. `api`, `timing`, `analysis` and
`testing` import this package. Start with `coordinator.py`, then `bench.py` and `method.py`.
"""

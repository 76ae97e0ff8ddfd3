"""Run the cells of a plan in processes of their own, survive what these do, and store what comes of them.

`api`, `timing`, `analysis` and `testing` import it. Start with `coordinator.py`, then `bench.py` and `method.py`.
"""

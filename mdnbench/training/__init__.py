"""The training of learned denoisers: recipes, training data, the loop, checkpoints and logs.

`api` and `engine` import this package. Start with `session.py`, then `loop.py`. `deploy/` exports trained networks.
"""

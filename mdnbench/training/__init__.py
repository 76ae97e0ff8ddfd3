"""Training of learned denoisers: recipes, patches, noise mixtures, the one loop, checkpoints, logs.

`api` and `engine` import it. Start with `session.py`, then `loop.py`. `deploy/` makes
files of what is trained.
"""

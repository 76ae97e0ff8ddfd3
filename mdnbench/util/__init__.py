"""General helpers for every package: files, digests, paths, limits, signals.

It imports nothing from mdnbench except `errors`, and every package may import it. Start with `atomic.py`, which writes
files.
"""

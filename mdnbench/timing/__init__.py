"""Timing: how long a method takes, measured alone, in fresh processes, in rounds interleaved over the methods.

`api`, `cli` and reporters import it. Start with `session.py`, then `phase.py`.
"""

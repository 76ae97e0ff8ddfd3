"""Timing: how long methods take, each measured in a fresh process of its own, in rounds over all methods.

`api`, `cli` and reporters import it. Start with `session.py`, then `phase.py`.
"""

"""Timing: how long a method takes, measured alone, in fresh processes, in rounds interleaved over the methods."""

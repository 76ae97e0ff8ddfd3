"""What every room may use: files, digests, paths, limits, signals.

It imports nothing of the package but `errors`, and everything may import it. Start with
`atomic.py`, which writes files.
"""

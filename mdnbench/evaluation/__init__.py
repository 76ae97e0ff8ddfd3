"""Compute one cell: make the noisy image, check the output of the method, and score it.

Its code is part of the identity of every result, so it imports little. `engine` and the tests of plugins import it.
Start with `cases.py`, then read `scoring.py`.
"""

from __future__ import annotations

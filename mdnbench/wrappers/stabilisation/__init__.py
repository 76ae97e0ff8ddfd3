"""Variance stabilisation: convert a known noise to white Gaussian noise for methods that expect that.

One layer does this for all methods, so that tables compare the methods and not their preparation. Start with
`layer.py`. `noise_parts.py` says which noises are converted, `anscombe.py` and `logarithm.py` are the transforms, and
`impulses.py` fills in samples that have nothing left of the image.
"""

from __future__ import annotations

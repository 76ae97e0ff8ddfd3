"""Data sets: their files at hand or fetched, folders of one's own, images read in full.

All rooms above `spec` may import it. Start with `images.py` for reading an image and `files.py` for finding one.
"""

from __future__ import annotations

from mdnbench.data.files import at_hand, fetch, files_of, find, locate, noting, verify

__all__ = ["at_hand", "fetch", "files_of", "find", "locate", "noting", "verify"]

"""Find or download the files of data sets, use a user's own folders as data sets, and read images in full.

All rooms above `spec` may import this package. Start with `images.py` for reading an image and `files.py` for finding
one.
"""

from __future__ import annotations

from mdnbench.data.files import at_hand, fetch, files_of, find, locate, noting, verify

__all__ = ["at_hand", "fetch", "files_of", "find", "locate", "noting", "verify"]

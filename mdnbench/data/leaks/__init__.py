"""Find training images that show part of a test image, so that training can leave them out."""

from __future__ import annotations

from mdnbench.data.leaks.cache import cached_leaks
from mdnbench.data.leaks.leak import Leak
from mdnbench.data.leaks.pictures import picture_of
from mdnbench.data.leaks.search import find_leaks

__all__ = ["Leak", "cached_leaks", "find_leaks", "picture_of"]

"""The leak guard: finds training images that show part of a test image, so that training can leave them out."""

from __future__ import annotations

from mdnbench.leaks.cache import cached_leaks
from mdnbench.leaks.finding import find_leaks
from mdnbench.leaks.leak import Leak
from mdnbench.leaks.pictures import picture_of

__all__ = ["Leak", "cached_leaks", "find_leaks", "picture_of"]

"""Find training images that show part of a test image, so that training can leave them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

from mdnbench.data.leaks.leak import Leak

if TYPE_CHECKING:
    from mdnbench.data.leaks.cache import cached_leaks
    from mdnbench.data.leaks.pictures import picture_of
    from mdnbench.data.leaks.search import find_leaks

__all__ = ["Leak", "cached_leaks", "find_leaks", "picture_of"]

# The search needs SciPy, which is not imported before there is something to compare.
__getattr__, _, _ = lazy.attach(
    __name__,
    submod_attrs={"cache": ["cached_leaks"], "pictures": ["picture_of"], "search": ["find_leaks"]},
)

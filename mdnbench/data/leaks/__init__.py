"""Find training images that show part of a test image, so that training can leave them out.

Begin with `search.find_leaks`. Each pair of images goes through the same four steps, one module each:

1. `keypoints` describes an image by its key points, once for all pairs.
2. `candidates` matches the key points of two images, and proposes placements on which several matches agree.
3. `alignment` refines such a placement until the detail of the two images agrees as closely as it can.
4. `confirmation` decides, from the correlation of the aligned images, whether they show the same picture.

`cache` stores what was found, and `pictures` draws it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

from mdnbench.data.leaks.leak import Leak

if TYPE_CHECKING:
    from mdnbench.data.leaks.cache import cached_leaks, pixel_digests
    from mdnbench.data.leaks.pictures import picture_of
    from mdnbench.data.leaks.search import find_leaks

__all__ = ["Leak", "cached_leaks", "find_leaks", "picture_of", "pixel_digests"]

# The search needs SciPy, which is not imported before there is something to compare.
__getattr__, _, _ = lazy.attach(
    __name__,
    submod_attrs={
        "cache": ["cached_leaks", "pixel_digests"],
        "pictures": ["picture_of"],
        "search": ["find_leaks"],
    },
)

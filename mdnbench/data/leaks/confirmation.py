"""Decide whether a training image and a test image that were aligned show the same picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdnbench.data.leaks import correlation

if TYPE_CHECKING:
    from mdnbench.data.leaks.alignment import Overlap

# The thresholds are between true pairs (above 0.7 and 0.94, except for smooth ground after strong JPEG) and mere
# similarity (at most 0.62 and 0.71 among photographs; 0.83 and 0.85 for two parts of one brick wall).
_LEAST_EVENED, _LEAST_DETAIL = 0.65, 0.87
_DETAIL_WIDTH = 8.0
# The correlation of unrelated images, times the square root of the number of pixels, does not grow with that number.
_LEAST_EVIDENCE = 35.0
_LEAST_SHARE = 0.2  # a little below the promised quarter
_PATCH, _AGREEING = 12, 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well two aligned images agree over their overlap.

    Attributes:
        evened: The correlation of the features, whose contrast is the same everywhere.
        detail: The correlation of the detail with its own contrast.
        evidence: `evened` times the square root of the number of pixels.
        share: The share of the test image's area that is in the training image.
        patches: The number of small patches that agree.

    """

    evened: float
    detail: float
    evidence: float
    share: float
    patches: int

    @property
    def convincing(self) -> bool:
        """Return whether chance or mere similarity cannot explain it."""
        alike = self.evened >= _LEAST_EVENED and self.detail >= _LEAST_DETAIL
        return alike and self.evidence >= _LEAST_EVIDENCE and self.share >= _LEAST_SHARE


def agreement(overlap: Overlap) -> Agreement:
    """Return how well the images of an overlap agree."""
    shared = overlap.shared()
    train, test = overlap.train, overlap.placed(overlap.test)
    # Beyond the test image both are flat, so that the filters see no edge that only one of them has.
    one, other = (np.where(shared, image, image[shared].mean()) for image in (train, test))
    features = correlation.features(one) * shared, correlation.features(other) * shared
    evened = correlation.of_aligned(*features)
    detail = [correlation.detail(image, _DETAIL_WIDTH) * shared for image in (one, other)]
    return Agreement(
        evened=evened,
        detail=correlation.of_aligned(*detail),
        evidence=evened * float(shared.sum()) ** 0.5,
        share=overlap.share(),
        patches=correlation.agreeing_patches(*features, _PATCH, _AGREEING),
    )

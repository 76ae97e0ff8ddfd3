"""The parameters of BM3D, and the three profiles.

Block size, transforms and the threshold are those of Dabov, Foi, Katkovnik and Egiazarian (2007) and Lebrun (IPOL,
2012). Distances, radii, group sizes and Wiener's factor were chosen on crops of BSD400 at sigma 15, 25 and 50.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pass:
    """The parameters of one of the two passes. Distances are mean squared differences of pixels, of 0 to 255.

    Attributes:
        step: The distance of reference blocks in pixels, 3 to 8.
        radius: Matches are sought this many pixels up, down, left and right.
        most: The largest group, a power of two.
        distance: The distance up to which blocks match, without noise.
        distance_noise: What each unit of noise variance adds to it.
        factor: The threshold in standard deviations, or the factor of the variance in Wiener's rule.

    """

    step: int
    radius: int
    most: int
    distance: float
    distance_noise: float
    factor: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Both passes, and the shape of the window (Kaiser's beta) by which filtered blocks are weighted."""

    first: Pass
    second: Pass
    beta: float = 2.0


PROFILES = {
    # Dabov et al. search 19 pixels around in the first pass too, and group 32 blocks in the second. 15 and 16 lose less
    # than 0.01 dB and save time. A factor below 1 in Wiener's rule gains 0.08 dB, because exact variances are used.
    "np": Profile(Pass(3, 15, 16, 3500.0, 8.0, 2.7), Pass(3, 19, 16, 600.0, 1.6, 0.7)),
    "lc": Profile(Pass(4, 12, 16, 3500.0, 8.0, 2.7), Pass(4, 10, 16, 600.0, 1.6, 0.7)),
    "fast": Profile(Pass(6, 9, 16, 3500.0, 8.0, 2.7), Pass(5, 6, 16, 600.0, 1.6, 0.7)),
}
CORRELATED_FACTORS = (3.0, 1.0)  # of the first and the second pass, if the noise of neighbouring pixels is correlated

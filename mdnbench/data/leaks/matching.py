"""Decide whether a training image and a test image show the same picture, and how to align them.

There are three steps, each at a finer resolution and with fewer guesses. The first tries every scale, orientation and
shift at a coarse resolution. The second refines the best few. The third makes the decision, from detail that the first
step did not use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mdnbench.data.leaks import correlation, geometry
from mdnbench.data.leaks.correlation import Sliding
from mdnbench.data.leaks.geometry import Rectangle

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

# Resolutions are given as the side in pixels of a square with the test image's area.
_COARSE, _MIDDLE, _FINE, _KEPT = 64, 96, 192, 288
# Nine scales from 0.7 to 1.4, each 9 % above the one before: at the coarse resolution, half of such a step shifts the
# edges of the whole image by 1.5 pixels and those of a quarter by less. The later steps close in on the scale.
_SCALES = tuple(float(scale) for scale in np.geomspace(0.7, 1.4, 9))
_MIDDLE_STEPS = (-0.03, 0.0, 0.03)
_FINE_STEPS = (-0.015, -0.0075, 0.0, 0.0075, 0.015)
_LAST_STEPS = (-0.004, 0.0, 0.004)
_MARGIN = 5  # the largest error of a guess in pixels of the next resolution
_LEAST_OVERLAP = 0.2  # a little below the guaranteed quarter, to allow for rounding at the coarse resolution
_LIKELY, _GUESSES, _PROMISING, _FINALISTS = 0.35, 10, 0.4, 3  # for each step: the least value and how many matches pass
# The thresholds of the decision are between true pairs (above 0.7 and 0.94, except for smooth ground after strong JPEG)
# and mere similarity (at most 0.62 and 0.71 among photographs; 0.83 and 0.85 for two parts of one brick wall).
_LEAST_EVENED, _LEAST_DETAIL = 0.65, 0.87
_DETAIL_WIDTH = 8.0
_LEAST_EVIDENCE = 35.0
_PATCH, _AGREEING = 12, 0.5


@dataclass(frozen=True, slots=True)
class Match:
    """A way to align the test image with the training image, and how well they agree.

    The test image is mirrored if `flipped`, turned counter-clockwise, scaled, and put with its corner at (top, left),
    in pixels of the training image.

    Attributes:
        top: The row of the corner.
        left: The column of the corner.
        scale: The factor by which the test image is scaled.
        quarter_turns: The number of quarter turns.
        flipped: Whether the test image is mirrored.
        evened: The correlation of the features over the overlap.
        evidence: `evened` times the square root of the overlap's area in pixels of the working resolution. For
            unrelated images it does not grow with the area.
        overlap: The share of the test image's area that is inside the training image.
        detail: The correlation of the detail without normalised contrast.
        patches: The number of patches that agree.

    """

    top: float
    left: float
    scale: float
    quarter_turns: int
    flipped: bool
    evened: float
    evidence: float
    overlap: float
    detail: float = 0.0
    patches: int = 0


class Sought:
    """A test image (H, W) in [0, 1] with everything that comparisons need."""

    def __init__(self, image: Image) -> None:
        self.side = geometry.side_of(image)
        self.kept = self.resolution(_KEPT)
        self.image = geometry.resampled(image, self.kept)
        coarse = self.resolution(_COARSE)
        self.scaled = [correlation.features(geometry.resampled(image, coarse * scale)) for scale in _SCALES]

    def resolution(self, side: int) -> float:
        """Return the scale at which the image has the area of a square of this side; images are never enlarged."""
        return min(1.0, side / self.side)


class Searched:
    """A training image (H, W) in [0, 1] at the resolutions that fit one test image."""

    def __init__(self, image: Image, sought: Sought) -> None:
        self.image = geometry.resampled(image, sought.kept)
        coarse = geometry.resampled(image, sought.resolution(_COARSE))
        self.coarse = Sliding(correlation.features(coarse))


def best_match(searched: Searched, sought: Sought) -> Match | None:
    """Return the most convincing alignment of the test image with the training image; None if none is likely."""
    likely = sorted((guess for guess in _guesses(searched, sought) if guess.evened >= _LIKELY), key=_chance)
    middle = [_refined(searched, sought, guess, _MIDDLE, _MIDDLE_STEPS) for guess in likely[:_GUESSES]]
    promising = sorted((match for match in middle if match and match.evened >= _PROMISING), key=_chance)
    fine = [_refined(searched, sought, match, _FINE, _FINE_STEPS) for match in promising[:_FINALISTS]]
    best = min((match for match in fine if match), key=_chance, default=None)
    last = best and _refined(searched, sought, best, _FINE, _LAST_STEPS)
    return last and _judged(searched, sought, last)


def is_leak(match: Match) -> bool:
    """Return whether the two images agree more closely than chance or mere similarity can explain."""
    alike = match.evened >= _LEAST_EVENED and match.detail >= _LEAST_DETAIL
    return alike and match.evidence >= _LEAST_EVIDENCE


def _chance(match: Match) -> float:
    """Return the logarithm, up to a constant, of the probability that chance correlates so much over so many pixels.

    With it, a small overlap that agrees closely ranks before a large one that agrees a little.
    """
    pixels = (match.evidence / match.evened) ** 2 if match.evened > 0 else 0.0
    return pixels * math.log1p(-min(match.evened**2, 0.999999))


def _guesses(searched: Searched, sought: Sought) -> Iterator[Match]:
    """Yield the best shift for every scale and orientation at the coarse resolution."""
    for scale, small in zip(_SCALES, sought.scaled, strict=True):
        for turned in (0, 1):
            # Of the eight orientations, the four with the same sides share an FFT.
            kinds = [(turns, flipped) for turns in (turned, turned + 2) for flipped in (False, True)]
            stack = np.stack([geometry.oriented(small, turns, flipped) for turns, flipped in kinds])
            maps, area = searched.coarse.over_edges(stack, _LEAST_OVERLAP)
            evidence = maps * np.sqrt(area)
            zoom = sought.kept / sought.resolution(_COARSE)
            for index, (turns, flipped) in enumerate(kinds):
                i, j = divmod(int(evidence[index].argmax()), area.shape[1])
                top, left = (i - stack.shape[1] + 1) * zoom, (j - stack.shape[2] + 1) * zoom
                value, share = float(maps[index, i, j]), float(area[i, j]) / small.size
                if value > 0:
                    yield Match(top, left, scale, turns, flipped, value, float(evidence[index, i, j]), share)


def _refined(searched: Searched, sought: Sought, guess: Match, side: int, steps: Sequence[float]) -> Match | None:
    """Return the best match near the guess at a finer resolution, over a few scales and small shifts."""
    zoom = sought.resolution(side) / sought.kept
    turned = geometry.oriented(sought.image, guess.quarter_turns, guess.flipped)
    whole = geometry.frame(searched.image)
    seen = _placed(turned, guess).within(whole)
    if min(seen.height, seen.width) * zoom < 2 * _MARGIN:
        return None
    near = _SearchWindow(searched.image, seen, zoom)
    match = max((near.aligned(turned, guess, guess.scale * (1 + step)) for step in steps), key=lambda each: each.evened)
    visible = _placed(turned, match).within(whole).area
    evidence = match.evened * zoom * visible**0.5
    return replace(match, evidence=evidence, overlap=visible / (turned.size * match.scale**2))


def _judged(searched: Searched, sought: Sought, match: Match) -> Match:
    """Return the match with its final values, computed from the overlap, and its position in original pixels."""
    zoom = sought.resolution(_FINE) / sought.kept
    turned = geometry.oriented(sought.image, match.quarter_turns, match.flipped)
    seen = _placed(turned, match).within(geometry.frame(searched.image))
    pair = (
        geometry.resampled(searched.image, zoom, seen),
        geometry.resampled(turned, zoom * match.scale, _part(turned, match, seen, match.scale)),
    )
    height, width = (min(sides) for sides in zip(pair[0].shape, pair[1].shape, strict=True))
    one, other = (image[:height, :width] for image in pair)
    evened = correlation.features(one), correlation.features(other)
    value = correlation.of_aligned(*evened)
    return replace(
        match,
        top=match.top / sought.kept,
        left=match.left / sought.kept,
        evened=value,
        evidence=value * (height * width) ** 0.5,
        detail=correlation.of_aligned(*(correlation.detail(image, _DETAIL_WIDTH) for image in (one, other))),
        patches=correlation.agreeing_patches(*evened, _PATCH, _AGREEING),
    )


class _SearchWindow:
    """The part of the training image that may overlap the test image, with a margin; 0 beyond the edges."""

    def __init__(self, image: Image, seen: Rectangle, zoom: float) -> None:
        wide = seen.grown(_MARGIN / zoom)
        inside = wide.within(geometry.frame(image))
        cut = correlation.features(geometry.resampled(image, zoom, inside))
        above, before = round((inside.top - wide.top) * zoom), round((inside.left - wide.left) * zoom)
        below = max(0, round(wide.height * zoom) - above - cut.shape[0])
        after = max(0, round(wide.width * zoom) - before - cut.shape[1])
        self.sliding = Sliding(np.pad(cut, ((above, below), (before, after))))
        self.top, self.left = inside.top - above / zoom, inside.left - before / zoom
        self.seen, self.zoom = seen, zoom

    def aligned(self, turned: Image, guess: Match, scale: float) -> Match:
        """Return the best shift at a scale."""
        part = _part(turned, guess, self.seen, scale)
        places = self.sliding.inside(correlation.features(geometry.resampled(turned, self.zoom * scale, part)))
        i, j = divmod(int(places.argmax()), places.shape[1])
        down, right = correlation.peak(places[:, j], i), correlation.peak(places[i], j)
        top = self.top + down / self.zoom - part.top * scale
        left = self.left + right / self.zoom - part.left * scale
        return replace(guess, top=top, left=left, scale=scale, evened=float(places[i, j]))


def _part(turned: Image, guess: Match, seen: Rectangle, scale: float) -> Rectangle:
    """Return the visible part of the test image after a change of scale about the centre of the visible part."""
    there = seen.moved(-guess.top, -guess.left)
    y, x = (there.top + there.bottom) / 2 / guess.scale, (there.left + there.right) / 2 / guess.scale
    up, over = there.height / 2 / scale, there.width / 2 / scale
    return Rectangle(y - up, x - over, y + up, x + over).within(geometry.frame(turned))


def _placed(turned: Image, match: Match) -> Rectangle:
    """Return the box of the whole turned test image."""
    height, width = turned.shape
    return Rectangle(match.top, match.left, match.top + height * match.scale, match.left + width * match.scale)

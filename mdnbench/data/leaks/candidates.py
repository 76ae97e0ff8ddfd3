"""Propose placements of a test image on a training image: those on which several matches of key points agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mdnbench.data.leaks.geometry import Placement

if TYPE_CHECKING:
    from mdnbench.data.leaks.geometry import Array
    from mdnbench.data.leaks.keypoints import Description

_LEAST_ALIKE = 0.85  # the product of two descriptors of length 1; chance seldom exceeds 0.93
# Of a hundred matches of unrelated photographs, two agree, and sometimes three; of a few, never three.
_LEAST_VOTES, _LEAST_OF_FEW, _FEW = 4, 3, 30
_SPOT = 4.0  # matches count once if their key points are within a spot of so many pixels
# How far a match may be from where another one places it: in widths of the key point, and relative to the distance
# between the two, because a key point's width and direction are known to about a tenth.
_LEAST_DISTANCE, _DRIFT = 2.0, 0.15
_TURN_AND_SCALE = 0.35  # how much the two may differ in turn (in radians) and scale
# Limits of memory and time for large images. Of a test image, the coarsest key points are enough.
_AT_ONCE, _MOST_SOUGHT = 2048, 512


def placements(train: Description, test: Description) -> Iterator[Placement]:
    """Yield the placements on which the most matches agree: at most one as it is, and one mirrored.

    A training image with very many key points is searched in parts, and each part may have a placement.

    Args:
        train: The key points of the training image.
        test: The key points of the test image.

    """
    test = test.part(slice(-_MOST_SOUGHT, None))
    for start in range(0, len(train.widths), _AT_ONCE):
        part = train.part(slice(start, start + _AT_ONCE))
        there, here, mirrored = _matches(part, test)
        for flipped in (False, True):
            chosen = mirrored == flipped
            placement = _agreed(part, test, there[chosen], here[chosen], flipped)
            if placement is not None:
                yield placement


def _matches(train: Description, test: Description) -> tuple[Array, Array, Array]:
    """Return the pairs of key points that are each other's most similar.

    Returns:
        The indices in the training image and in the test image, and whether each pair agrees better if mirrored.

    """
    odd = train.odd.astype(np.float32) @ test.odd.T.astype(np.float32)
    # The product with the descriptor as it is, even + odd, or with the mirrored one, even - odd.
    alike = np.abs(odd)
    alike += train.even.astype(np.float32) @ test.even.T.astype(np.float32)
    if not alike.size:
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0, np.bool_)
    best = alike.argmax(axis=1)
    value = alike[np.arange(len(best)), best]
    mutual = (value >= alike.max(axis=0)[best]) & (value >= _LEAST_ALIKE)
    there, here = np.flatnonzero(mutual), best[mutual]
    return there, here, odd[there, here] < 0


def _agreed(train: Description, test: Description, there: Array, here: Array, flipped: bool) -> Placement | None:
    """Return the placement on which the most matches agree; None if they are too few.

    Each match proposes one, from the positions, widths and directions of its two key points.
    """
    least = _LEAST_VOTES if len(there) > _FEW else _LEAST_OF_FEW
    if len(there) < least:
        return None
    mine, theirs, towards = train.positions[there], test.positions[here], test.directions[here]
    if flipped:
        theirs, towards = np.conj(theirs), np.conj(towards)
    turns = train.widths[there] / test.widths[here] * train.directions[there] * np.conj(towards)
    between = mine - mine[:, None]
    error = np.abs((theirs - theirs[:, None]) * turns[:, None] - between)
    agree = error <= _LEAST_DISTANCE * train.widths[there] + _DRIFT * np.abs(between)
    agree &= np.abs(turns - turns[:, None]) <= _TURN_AND_SCALE * np.abs(turns)[:, None]
    voters = agree[agree.sum(axis=1).argmax()]
    mine, theirs = mine[voters], theirs[voters]
    if min(_spots(mine), _spots(theirs)) < least:
        return None
    return _fitted(mine, theirs, flipped)


def _spots(positions: Array) -> int:
    return len(np.unique(np.rint(positions / np.float32(_SPOT))))


def _fitted(mine: Array, theirs: Array, flipped: bool) -> Placement:
    """Return the turn, scale and shift that bring `theirs` closest to `mine`."""
    near, far = theirs - theirs.mean(), mine - mine.mean()
    turn = complex(np.vdot(near, far) / np.vdot(near, near))
    shift = complex(mine.mean()) - turn * complex(theirs.mean())
    matrix = np.array([(turn.real, -turn.imag), (turn.imag, turn.real)])
    if flipped:
        matrix = matrix * (1, -1)  # the conjugates were y → -y
    return Placement(matrix, np.array([shift.real, shift.imag]))

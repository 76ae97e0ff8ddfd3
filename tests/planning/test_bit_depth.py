"""The depth of images, as their values show it."""

from __future__ import annotations

import numpy as np
import pytest

from mdnbench.planning import bit_depth


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_whole_numbers_of_each_depth_are_recognised(bits: int) -> None:
    """With the largest value, gray and colour."""
    top = 2**bits - 1
    for shape in ((40, 50), (40, 50, 3)):
        levels = np.random.default_rng(bits).integers(0, top, shape)
        levels.flat[0] = top - 1
        pixels = levels.astype(np.float32) / np.float32(top)
        assert bit_depth.of("a", pixels) == bit_depth.Depth("a", bits, int(levels.max()))


def test_floats_have_no_depth() -> None:
    """Values between whole numbers are of no bits, and are not noted."""
    pixels = np.random.default_rng(0).random((20, 20), dtype=np.float32)
    assert bit_depth.of("a", pixels).bits == 0


@pytest.mark.parametrize("level", [0, 1])
def test_black_and_white_have_8_bits(level: int) -> None:
    """Nothing deeper is known of them."""
    assert bit_depth.of("a", np.full((5, 5), level, np.float32)).bits == 8

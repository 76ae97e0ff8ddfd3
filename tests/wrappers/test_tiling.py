"""Fitting images to networks: padding, tiles without seams, and channels one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mdnbench.errors import BadOption
from mdnbench.evaluation.outputs import InvalidOutput
from mdnbench.wrappers.tiling import Tiling, padded

DNCNN_FIELD = 35  # the receptive field of 17 convolutions of 3×3, in pixels
few = settings(derandomize=True, max_examples=40, deadline=None)


class Strided(nn.Module):
    """Two scales with a skip: the sides of its input must be even, and where a tile begins matters."""

    FIELD = 17  # in pixels: 3 below, 2 * (3 + 2) at half the size, and what both ends of it reach

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.down = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.middle = nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, image: Any) -> Any:
        """(1, 1, H, W) in and out."""
        assert not any(side % 2 for side in image.shape[-2:])
        return image + nn.functional.pixel_shuffle(self.up(torch.relu(self.middle(torch.relu(self.down(image))))), 2)


@pytest.mark.parametrize("tile", [64, 71])
def test_tiles_equal_the_whole_where_the_overlap_is_the_receptive_field(shipped: Any, noisy: Any, tile: int) -> None:
    """A real network over tiles gives what it gives over the whole image, at the seams too."""
    whole = shipped(noisy)
    tiled = Tiling(tile=tile, overlap=DNCNN_FIELD)(noisy, shipped)
    assert float((tiled - whole).abs().max()) < 1e-5


@pytest.mark.full
def test_an_overlap_that_is_too_small_shows(shipped: Any, noisy: Any) -> None:
    """The comparison above can fail: without overlap the seams differ, and the more overlap the less.

    On the whole, that is: the largest single difference depends on where seams fall.
    """
    whole = shipped(noisy)
    differences = [Tiling(tile=48, overlap=n)(noisy, shipped) - whole for n in (0, 8, 16, 32)]
    assert float(differences[0].abs().max()) > 0.02
    assert float(differences[-1].abs().max()) > 1e-5
    errors = [float(each.square().mean().sqrt()) for each in differences]
    assert errors == sorted(errors, reverse=True)


def test_tiles_begin_where_a_strided_network_wants_them(noisy: Any) -> None:
    """With strides a tile must begin at a multiple, or the network sees another grid; odd sizes are padded first."""
    network = torch.inference_mode()(Strided().eval())
    whole = Tiling(multiple=2)(noisy, network)
    tiled = Tiling(multiple=2, tile=39, overlap=Strided.FIELD)(noisy, network)
    assert float((tiled - whole).abs().max()) < 1e-6


@few
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    multiple=st.sampled_from([1, 2, 4, 8]),
    tile=st.integers(16, 48),
    overlap=st.integers(0, 15),
)
def test_every_pixel_comes_back_once_in_its_place(
    height: int, width: int, multiple: int, tile: int, overlap: int
) -> None:
    """Whatever the sizes, a network that changes nothing changes nothing; it sees multiples, and no tile too large."""
    try:
        fitting = Tiling(multiple, tile, overlap)
    except BadOption:
        assert tile < 2 * (overlap // 2 + multiple) + multiple
        return
    image = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width)
    seen = []

    def network(part: Any) -> Any:
        seen.append(part.shape[-2:])
        return part.clone()

    assert torch.equal(fitting(image, network), image)
    assert all(side % multiple == 0 and side <= max(tile, multiple) for shape in seen for side in shape)
    assert len({tuple(shape) for shape in seen}) == 1


@pytest.mark.parametrize(("side", "multiple", "expected"), [(5, 8, "01234321"), (1, 4, "0000"), (2, 8, "01010101")])
def test_padding_reflects_and_goes_back_and_forth(side: int, multiple: int, expected: str) -> None:
    """Small images are reflected as often as it takes, the outermost pixel never twice in a row."""
    seen: list[Any] = []
    image = torch.arange(side, dtype=torch.float32).expand(1, 1, side, side)
    result = padded(image, multiple, lambda part: seen.append(part) or part)
    assert torch.equal(result, image)
    assert "".join(str(int(value)) for value in seen[0][0, 0, 0]) == expected


def test_channels_go_one_by_one(colour: Any) -> None:
    """A network for one channel sees each channel by itself, and they come back in their order."""
    seen = []

    def network(part: Any) -> Any:
        seen.append(part.shape[1])
        return part + len(seen)

    result = Tiling(by_channel=True)(colour, network)
    assert seen == [1, 1, 1]
    assert torch.allclose(result - colour, torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1).expand_as(colour), atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"multiple": 0},
        {"tile": -1},
        {"overlap": -1},
        {"tile": 64, "overlap": 64},
        {"tile": 40, "overlap": 33, "multiple": 8},
    ],
)
def test_what_cannot_be_cut_is_refused(wrong: dict[str, int]) -> None:
    """Tiles that are all overlap, and sizes below one, are refused with what is allowed."""
    with pytest.raises(BadOption, match="is not allowed"):
        Tiling(**wrong)


@pytest.mark.parametrize("network", [lambda part: part[..., :-1], lambda part: [part], lambda part: None])
def test_an_output_that_cannot_be_cropped_is_invalid(noisy: Any, network: Callable[[Any], Any]) -> None:
    """Another shape or no tensor at all is the network's fault, and never cropped or broadcast into a result."""
    with pytest.raises(InvalidOutput, match="expected shape"):
        Tiling(multiple=8)(noisy, network)

"""Filling a network from a file: what differs is counted and named, and what a person chose is used."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mdnbench.errors import BadOption, WeightsError
from mdnbench.wrappers.weight_loading import ANY, StateSelection, fill, misfit


class Renamed(nn.Conv2d):
    """A layer that takes the key that its weight had in a former version."""

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        if f"{prefix}kernel" in state:
            state[f"{prefix}weight"] = state.pop(f"{prefix}kernel")
        super()._load_from_state_dict(state, prefix, *rest)


def test_what_differs() -> None:
    """Keys, shapes and kinds of number; the count of batches may be missing, or of any kind."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).state_dict()
    own = dict(network)
    assert misfit(network, own) == (0, "")
    counted = own.pop("1.num_batches_tracked")
    assert misfit(network, own) == (0, "")
    assert misfit(network, own | {"1.num_batches_tracked": counted.float()}) == (0, "")
    count, words = misfit(network, {"0.weight": torch.ones(2, 1, 5, 5), "0.bias": torch.ones(2).long(), "x": counted})
    assert count == 7
    assert words.startswith("Missing keys: 1.weight, 1.bias, 1.running_mean, 1.running_var. Unexpected keys: x.")
    assert "Other shapes: 0.weight (2, 1, 5, 5), but the network has (2, 1, 3, 3)." in words
    assert "Other kinds of number: 0.bias torch.int64, but the network has torch.float32." in words


def test_a_module_that_takes_other_keys_than_its_own() -> None:
    """What a module's own loading accepts is accepted, of a file that leaves no choice."""
    layer = Renamed(1, 1, 3)
    torch.save({"net": {"kernel": torch.ones(1, 1, 3, 3), "bias": torch.zeros(1)}}, "w.pth")
    fill(layer, Path("w.pth"), ANY)
    assert torch.equal(layer.weight, torch.ones(1, 1, 3, 3))
    torch.save({"net": {"kernel": torch.ones(1, 1, 3, 3)}}, "w.pth")
    with pytest.raises(WeightsError, match=r"of another network than Renamed: .*Missing keys: weight, bias"):
        fill(layer, Path("w.pth"), ANY)


def test_a_lazy_module_takes_its_shape_from_the_file() -> None:
    """A parameter without a shape fits any."""
    layer = nn.LazyConv2d(2, 3)
    torch.save({"weight": torch.ones(2, 3, 3, 3), "bias": torch.zeros(2)}, "w.pth")
    fill(layer, Path("w.pth"), ANY)
    assert layer.weight.shape == (2, 3, 3, 3)


def test_what_was_taken_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """As information, with the file."""
    caplog.set_level(logging.INFO, "mdnbench.wrappers")
    torch.save({"ema": {f"module.{key}": each for key, each in nn.Conv2d(1, 1, 3).state_dict().items()}}, "w.pth")
    fill(nn.Conv2d(1, 1, 3), Path("w.pth"), ANY)
    assert "w.pth: 2 tensors: the state 'ema', without the prefix 'module.'" in caplog.text


def test_choices() -> None:
    """No choice is no part of a revision; an eps that is none is refused at once."""
    assert StateSelection() == ANY
    assert ANY.parts == ()
    assert (
        len({StateSelection("a").parts, StateSelection(prefix="").parts, StateSelection(eps=1e-5).parts, ANY.parts})
        == 4
    )
    with pytest.raises(BadOption, match="eps=-1 is not allowed"):
        StateSelection(eps=-1)

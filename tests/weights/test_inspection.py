"""What is said of a weights file: its states with counts and sizes, and the networks here that they fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mdnbench import api, registry, weights
from mdnbench.errors import WeightsError
from mdnbench.util import digests


def test_shipped_weights_are_recognised() -> None:
    """Every file that is shipped fits the method that it is shipped with."""
    for spec in registry.load().denoisers.values():
        if spec.trainable is None:
            continue
        each = weights.shipped(spec.trainable)[0]
        (state,) = api.inspect_weights(each.path).states
        assert any(text.partition("[")[0] == spec.name for text in state.fits)
        assert set(state.dtypes) == {"float16"}


def test_what_is_said(mdnbench: Callable[..., Any], workspace: Path) -> None:
    """Counts, sizes, types, prefixes, statistics, faults, and what is not read; numbers as numbers in JSON."""
    good = {"module.a.weight": torch.ones(2, 3), "module.a.running_var": torch.ones(2).double()}
    torch.save({"good": good, "bad": {"x": torch.tensor([float("nan")])}, "epoch": 3}, "w.pth")
    found = api.inspect_weights(Path("w.pth"))
    one, other = found.states
    assert (found.bytes, found.sha256) == (Path("w.pth").stat().st_size, digests.of_file(Path("w.pth")))
    assert (one.name, one.tensors, one.values, one.bytes) == ("good", 2, 8, 40)
    assert (one.dtypes, one.prefix, one.batch_norm) == ({"float32": 1, "float64": 1}, "module.a.", True)
    assert (one.fits, one.faults) == ((), "")
    assert other.faults == "tensors that cannot be used: x (NaN)"
    assert found.beside == {"epoch": "int"}
    assert [(each.key, each.shape) for each in one.keys] == [
        ("module.a.weight", (2, 3)), ("module.a.running_var", (2,)),
    ]  # fmt: skip
    facts = json.loads(mdnbench("weights", "inspect", "w.pth", "--json").out)
    assert facts["states"][0]["keys"][0] == {"key": "module.a.weight", "shape": [2, 3], "dtype": "float32"}
    assert facts["bytes"] == found.bytes
    shown = mdnbench("weights", "inspect", "w.pth")
    assert shown.code == 0, shown.err
    assert "not read: epoch (int)" in shown.out
    assert "bad: tensors that cannot be used: x (NaN)" in shown.out


def test_a_part_is_shown() -> None:
    """`state` and `prefix` leave the rest out; what is not there is refused."""
    torch.save({"a": {"m.x": torch.ones(1), "y": torch.ones(1)}, "b": {"x": torch.ones(1)}}, "w.pth")
    (state,) = api.inspect_weights(Path("w.pth"), state="a", prefix="m").states
    assert [each.key for each in state.keys] == ["x"]
    with pytest.raises(WeightsError, match="has no state 'c'"):
        api.inspect_weights(Path("w.pth"), state="c")
    with pytest.raises(WeightsError, match="no keys that begin with"):
        api.inspect_weights(Path("w.pth"), prefix="q")

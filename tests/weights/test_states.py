"""States in checkpoints, the prefixes of their keys, and what is wrong with their tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mdnbench.errors import WeightsError
from mdnbench.util import limits
from mdnbench.weights import state_choice, states
from mdnbench.weights.states import TensorState

ONE = torch.ones(2)


def found(content: Any) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """The keys of each state of a file with this content, and what is next to them."""
    torch.save(content, "w.pth")
    checkpoint = states.checkpoint(Path("w.pth"))
    return {each.name: list(each.tensors) for each in checkpoint.states}, checkpoint.beside


def test_where_states_are() -> None:
    """At the top, in tables, in tables within tables; optimisers, numbers and empty tables are next to them."""
    assert found({"a": ONE}) == ({"": ["a"]}, {})
    assert found({"net": {"a": ONE}, "epoch": 3, "log": {}}) == ({"net": ["a"]}, {"epoch": "int", "log": "a table"})
    assert found({"x": {"y": {"a": ONE}, "z": {"b": ONE}}}) == ({"x/y": ["a"], "x/z": ["b"]}, {})
    optimiser = {"state": {0: {"step": ONE}}, "param_groups": []}
    assert found({"net": {"a": ONE}, "opt": optimiser}) == ({"net": ["a"]}, {"opt": "an optimiser's state"})
    assert found({"net": {"a": ONE}, "best": torch.tensor(3.0)}) == ({"net": ["a"]}, {"best": "a tensor"})
    assert found({"a": ONE, "ema": {"a": ONE}}) == ({"": ["a"], "ema": ["a"]}, {})
    assert found({}) == ({"": []}, {})
    deep: Any = {"a": ONE}
    for _ in range(limits.MAX_STATE_DEPTH + 1):
        deep = {"x": deep}
    assert found(deep)[0] == {"": []}


def test_tables_that_hold_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their entries are counted each time that they are met."""
    monkeypatch.setattr(limits, "MAX_STATE_ENTRIES", 1000)
    inner: dict[str, Any] = {f"k{number}": ONE for number in range(30)}
    with pytest.raises(WeightsError, match="more than 1000 entries"):
        found({f"t{number}": inner for number in range(40)})


def test_prefixes() -> None:
    """What all keys share, and what names a network whole among others."""
    assert states.shared_prefixes(["module.net.a.w", "module.net.b"]) == ["", "module.", "module.net."]
    assert states.shared_prefixes(["a.w", "b.w"]) == [""]
    assert states.shared_prefixes(["w"]) == [""]
    assert states.shared_prefixes([]) == [""]
    mixed = ["generator.a.w", "generator.a.b", "generator_ema.a.w", "step", "loss.w"]
    assert states.partial_prefixes(mixed) == ["generator.", "generator.a.", "generator_ema.", "generator_ema.a."]
    assert states.partial_prefixes(["module.net.a", "module.loss.b"]) == ["module.net."]
    assert states.partial_prefixes(["net.a", "net.b"]) == []


def test_what_is_said_of_a_state() -> None:
    """Counts, types, statistics, and the first few keys."""
    tensors = {"a.running_var": ONE, "b": ONE.half(), "c": ONE.half(), "m": torch.ones(7, device="meta")}
    assert states.dtypes(tensors) == {"float32": 2, "float16": 2}
    assert (states.values(tensors.values()), states.size(tensors.values())) == (6, 16)
    assert states.has_statistics(tensors)
    assert not states.has_statistics(["running_var_of_mine"])
    assert states.few("abcdefg") == "a, b, c, d and 3 more"
    assert states.few([1, b"x", "a\nb"]) == "1, b'x', a\\nb"
    assert states.faults({"a": ONE}) == ""
    assert (
        states.faults({"a": ONE / 0, "b": ONE / 0})
        == "tensors that cannot be used: a, b (infinite, in float32 at least)"
    )
    assert "no texts: 1" in states.oddities(TensorState("x", {1: ONE}))


def test_what_is_taken() -> None:
    """The one state that fits, and the words for it."""
    torch.save({"net": {"module.a": ONE, "module.b": ONE}, "other": {"c": ONE}}, "w.pth")

    def fit(tensors: dict[str, Any]) -> tuple[int, str]:
        return (0, "") if tensors.keys() == {"a", "b"} else (len(tensors), "Other keys.")

    taken = state_choice.take(Path("w.pth"), fit)
    assert (taken.state, taken.prefix, sorted(taken.tensors)) == ("net", "module.", ["a", "b"])
    assert str(taken) == "2 tensors: the state 'net', without the prefix 'module.', not 'other'"
    with pytest.raises(state_choice.NoFit, match="Other keys") as caught:
        state_choice.take(Path("w.pth"), fit, state="other")
    assert "the states net, other" in caught.value.reason

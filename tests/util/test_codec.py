"""Records from plain values and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from mdnbench.util import codec


@dataclass(frozen=True)
class Inner:
    """A nested table."""

    low: float
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    """Every kind of field that records use."""

    name: str
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    deep: dict[str, dict[str, Inner]] = field(default_factory=dict)
    either: str | tuple[str, ...] = ""


def test_a_record_comes_back_as_it_was() -> None:
    """Nested records, tuples and dictionaries; plain values are what JSON and TOML hold."""
    record = Outer("n", Inner(1.0, "b"), (Inner(2.0),), {"s": (0.0, 1.0)}, {"x": {"y": Inner(3.0)}}, ("u", "v"))
    assert codec.convert(codec.to_plain(record), Outer) == record


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": 5}, "name = 5 must be a text"),
        ({"many": [{"low": 1}, {"low": "x"}]}, "many[1].low = 'x' must be a number"),
        ({"many": [{}]}, "many[0] lacks the key 'low'"),
        ({"inner": {"low": 1, "kind": "c"}}, "inner.kind = 'c' must be one of 'a', 'b'"),
        ({"spans": {"good": [0, 1], "bad": [0, "x"]}}, "spans.bad[1] = 'x' must be a number"),
        ({"spans": {"short": [0]}}, "spans.short = [0] must be an array of 2"),
        ({"deep": {"x": {"good": {"low": 1}, "bad\n": {"low": True}}}}, "deep.x.'bad\\n'.low = True must be a number"),
        ({"deep": {"x": {"y": {"low": 1, "kind": "c"}}}}, "deep.x.y.kind = 'c' must be one of 'a', 'b'"),
        ({"either": 5}, "either = 5 must be a text or an array"),
        ({"inner": []}, "inner = [] must be a table"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], says: str) -> None:
    """The place with all its keys, what was given, and what is expected."""
    with pytest.raises(codec.Misfit) as caught:
        codec.convert({"name": "n"} | change, Outer)
    assert str(caught.value) == says


@pytest.mark.parametrize("plain", [None, [], "text", 7])
def test_what_is_no_table_is_no_record(plain: Any) -> None:
    """The value itself is named."""
    with pytest.raises(codec.Misfit, match=r"^it is .* and must be a table$"):
        codec.convert(plain, Outer)


def test_unknown_keys_are_found_at_every_depth() -> None:
    """In records inside tuples and dictionaries too; the keys of a dictionary are free."""
    plain = {"nam": 1, "inner": {"x": 1}, "many": [{}, {"y": 1}], "deep": {"free": {"free": {"z": 1}}}}
    found = [(each.place, each.key) for each in codec.unknown_keys(plain, Outer)]
    assert found == [("", "nam"), ("inner", "x"), ("many[1]", "y"), ("deep.free.free", "z")]

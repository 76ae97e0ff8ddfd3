"""TOML files into frozen records: what does not fit is refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from mdnbench.errors import BadFile, UnknownName
from mdnbench.spec import tomlfile


@dataclass(frozen=True)
class Inner:
    """A nested table."""

    low: float
    high: float = 1.0


@dataclass(frozen=True)
class Outer:
    """Every kind of field that our files use."""

    name: str
    size: int = 3
    scale: float = 0.5
    fast: bool = False
    kind: Literal["a", "b"] = "a"
    span: tuple[float, float] = (0.0, 1.0)
    words: tuple[str, ...] = ()
    inner: Inner | None = None
    ranges: dict[str, tuple[float, float]] | None = None
    many: tuple[Inner, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


def build(**table: Any) -> Outer:
    """The record of a table with a name."""
    return tomlfile.build(Outer, {"name": "x", **table}, "the file")


def test_a_mark_of_the_byte_order_is_no_part_of_a_file(tmp_path: Path) -> None:
    """Windows' editors put one before the first key."""
    path = tmp_path / "a.toml"
    path.write_text('name = "n"\n', encoding="utf-8-sig")
    assert tomlfile.read(path, "plan") == {"name": "n"}


def test_a_whole_file_becomes_a_record(tmp_path: Path) -> None:
    """Nested tables become records, arrays tuples, whole numbers floats."""
    path = tmp_path / "a.toml"
    path.write_text(
        'name = "n"\nsize = 7\nscale = 2\nfast = true\nkind = "b"\nspan = [1, 2.5]\nwords = ["u", "v"]\n'
        "inner = { low = 1 }\nranges = { sigma = [5, 50] }\n[[many]]\nlow = 0.1\nhigh = 0.2\n[[many]]\nlow = 3\n",
        encoding="utf-8",
    )
    record = tomlfile.build(Outer, tomlfile.read(path, "plan"), "the file")
    assert record == Outer(
        "n", 7, 2.0, True, "b", (1.0, 2.5), ("u", "v"), Inner(1.0), {"sigma": (5.0, 50.0)},
        (Inner(0.1, 0.2), Inner(3.0)),
    )  # fmt: skip
    assert type(record.scale) is float


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"size": 1.5}, "the file: size = 1.5 must be a whole number"),
        ({"size": True}, "must be a whole number"),
        ({"size": "3"}, "must be a whole number"),
        ({"scale": "1"}, "the file: scale = '1' must be a number"),
        ({"scale": True}, "must be a number"),
        ({"scale": 10**400}, "must be a number"),
        ({"fast": 1}, "must be true or false"),
        ({"name": 5}, "must be a text"),
        ({"kind": "c"}, "must be one of 'a', 'b'"),
        ({"span": [1]}, "an array of 2"),
        ({"span": 1}, "must be an array"),
        ({"words": "u"}, "must be an array"),
        ({"words": [1]}, "must be a text"),
        ({"inner": 5}, "must be"),
        ({"ranges": {"sigma": 5}}, "must be"),
        ({"labels": {"a": 0}}, r"the file: labels\.a = 0 must be a text"),
        ({"labels": {"\r": 0}}, r"the file: labels\.'\\r' = 0 must be a text"),
        ({"many": [{"high": 1.0}]}, "lacks the key 'low'"),
    ],
)
def test_a_wrong_type_is_named(table: dict[str, Any], says: str) -> None:
    """The message names the key, what was given and what is wanted."""
    with pytest.raises(BadFile, match=says):
        build(**table)


def test_an_unknown_key_is_guessed() -> None:
    """A misspelt key is refused with the likeliest meaning, nested ones too."""
    with pytest.raises(UnknownName, match=r"no key in the file is named 'sizes'\. Did you mean 'size'\?"):
        build(sizes=3)
    with pytest.raises(UnknownName, match=r"key in the file: many\[0\] is named 'hihg'\. Did you mean 'high'\?"):
        build(many=[{"low": 1, "hihg": 2}])


def test_a_missing_key_is_named() -> None:
    """A key without a default must be given."""
    with pytest.raises(BadFile, match="the file lacks the key 'name'"):
        tomlfile.build(Outer, {}, "the file")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"name = ", "cannot be read"), (b"\xff\xfe", "cannot be read"), (b"a = 1\na = 2", "cannot be read")],
)
def test_a_malformed_file_is_refused_with_its_path(tmp_path: Path, content: bytes, says: str) -> None:
    """Broken TOML, other encodings and double keys are one message with the path."""
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=says) as error:
        tomlfile.read(path, "plan")
    assert str(path) in str(error.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    """What is no file says so."""
    with pytest.raises(BadFile, match="there is no plan file"):
        tomlfile.read(tmp_path / "none.toml", "plan")
    with pytest.raises(BadFile, match="cannot be read"):
        tomlfile.read(tmp_path, "plan")

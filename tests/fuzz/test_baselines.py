"""Baselines whose three files were edited badly: compared, or refused in one line, and the run is as it was."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import strategies as st
from made_records import benchmark, timing_record

from mdnbench import api
from mdnbench.spec import tomlfile
from mdnbench.util import codec

VALUES = st.one_of(
    st.text(max_size=8), st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(),
    st.lists(st.integers(-9, 9), max_size=2),
    st.dictionaries(st.text(max_size=4), st.one_of(st.integers(-9, 9), st.text(max_size=4)), max_size=2),
)  # fmt: skip
CELLS = st.one_of(st.text(max_size=8), st.sampled_from(["", "inf", "-inf", "nan", "1e999", "ok", "failed", "7", "'=x"]))
Edit = Callable[[Any], Any]


@st.composite
def edits(draw: st.DrawFn) -> tuple[list[tuple[list[int], Any]], list[tuple[int, int, str]], tuple[int, int]]:
    """What happens to the TOML file, to the cells of the CSV file, and at last to the bytes of one of them."""
    toml = draw(st.lists(st.tuples(st.lists(st.integers(0, 30), min_size=1, max_size=3), VALUES), max_size=2))
    cells = draw(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), CELLS), max_size=2))
    return toml, cells, draw(st.sampled_from([(0, 0), (0, 0), (1, 90), (2, 300), (1, 7), (2, 7)]))


def replaced(table: dict[str, Any], way: list[int], value: Any) -> dict[str, Any]:
    """A nested table with one of its values, found by going down by number, another."""
    key = list(table)[way[0] % len(table)]
    inner = table[key]
    if len(way) > 1 and isinstance(inner, dict) and inner:
        return table | {key: replaced(inner, way[1:], value)}
    return table | {key: value}


def test_baselines(fuzz: Any, mdnbench: Any, stored: Path, unchanged: Any, workspace: Path) -> None:
    """`mdnbench check` passes, finds a regression, or says in one line what is wrong with the files."""
    results = api.open_run("done")
    stem = api.write_baseline(results, workspace / "base")
    results.store.close()
    table = tomlfile.read(Path(f"{stem}.toml"), "baseline")
    rows = list(csv.reader(io.StringIO(Path(f"{stem}.csv").read_text(encoding="utf-8"))))
    seen = set()

    def check(edit: Any) -> None:
        facts, lines = table, [list(row) for row in rows]
        for way, value in edit[0]:
            facts = replaced(facts, way, value)
        for line, column, text in edit[1]:
            lines[line % len(lines)][column % len(lines[0])] = text
        text = io.StringIO(newline="")
        csv.writer(text).writerows(lines)
        files = [tomli_w.dumps(facts).encode("utf-8", "replace"), text.getvalue().encode("utf-8", "replace")]
        which, place = edit[2]
        if which:
            files[which - 1] = files[which - 1][:place] + b"\xff" * (place % 2) + files[which - 1][place + 1 :]
        Path(f"{stem}.toml").write_bytes(files[0])
        Path(f"{stem}.csv").write_bytes(files[1])
        with unchanged(stored):
            seen.add(mdnbench("check", "done", "--baseline", stem).code)

    fuzz(check, 40, edit=edits())
    assert {0, 1, 2} <= seen


def test_timing_records(fuzz: Any, mdnbench: Any, stored: Path, unchanged: Any, workspace: Path) -> None:
    """The timing beside a baseline may be any JSON, or none."""
    results = api.open_run("done")
    stem = api.write_baseline(results, workspace / "base")
    record = codec.to_plain(timing_record(benchmark("noisy", seconds=[1.0, 2.0])))
    folder = results.folder
    results.store.close()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "timing.json").write_text(json.dumps(record), encoding="utf-8")

    def check(way: list[int], value: Any, raw: bytes) -> None:
        content = raw or json.dumps(replaced(record, way, value)).encode()
        Path(f"{stem}.timing.json").write_bytes(content)
        with unchanged(stored):
            mdnbench("check", "done", "--baseline", stem, "--timing")

    fuzz(check, 15, way=st.lists(st.integers(0, 30), min_size=1, max_size=3), value=VALUES,
         raw=st.one_of(st.just(b""), st.just(b""), st.binary(max_size=9), st.just(b"[" * 100_000)))  # fmt: skip

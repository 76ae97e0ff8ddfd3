"""What fuzzing found, each by itself, so that it stays mended."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from made_records import benchmark, stats, timing_record

from mdnbench import api
from mdnbench.util import jsonfile


@pytest.mark.parametrize("text", ["methods = " + "[" * 3000 + "]" * 3000, "seeds = " + "9" * 5000])
def test_a_plan_that_python_cannot_take_in(mdnbench: Any, workspace: Path, text: str) -> None:
    """Nested too deeply, or a number of too many digits: refused by the file's name."""
    (workspace / "plan.toml").write_text(text, encoding="utf-8")
    said = mdnbench("plan", "plan.toml")
    assert said.code == 2
    assert "the plan file plan.toml cannot be read" in said.err


@pytest.mark.parametrize("content", ['""', "[1]", '{"machine_info": ""}', "[" * 100_000, "{", '{"benchmarks": [{}]}'])
def test_a_timing_record_of_another_shape(mdnbench: Any, stored: Path, workspace: Path, content: str) -> None:
    """Beside a baseline or in a run's folder, it is refused by its path."""
    results = api.open_run("done")
    stem = api.write_baseline(results, workspace / "base")
    results.folder.mkdir(parents=True)
    jsonfile.write(results.folder / "timing.json", timing_record())
    Path(f"{stem}.timing.json").write_text(content, encoding="utf-8")
    results.store.close()
    said = mdnbench("check", "done", "--baseline", stem, "--timing")
    assert said.code == 2
    assert f"{stem}.timing.json cannot be read" in said.err
    (results.folder / "timing.json").write_text(content, encoding="utf-8")
    said = mdnbench("report", "done")
    assert (said.code, str(results.folder) in said.err) == (2, True)


@pytest.mark.parametrize("seconds", [[], [0.0], [float("nan")]])
def test_timings_without_seconds(mdnbench: Any, stored: Path, workspace: Path, seconds: list[float]) -> None:
    """A benchmark that took no time, or none at all, is not compared; nothing compared is no pass."""
    results = api.open_run("done")
    stem = api.write_baseline(results, workspace / "base")
    record = timing_record(benchmark("noisy", seconds=stats([1.0], data=tuple(seconds))))
    results.folder.mkdir(parents=True)
    for path in (results.folder / "timing.json", Path(f"{stem}.timing.json")):
        jsonfile.write(path, record)
    results.store.close()
    said = mdnbench("check", "done", "--baseline", stem, "--timing")
    assert said.code == 5
    assert "no method was timed in both" in said.out


@pytest.mark.parametrize("content", ["{}", "[]", '{"name": 1, "store": "x"}', "no JSON"])
def test_a_runs_own_file_that_was_altered(mdnbench: Any, stored: Path, content: str) -> None:
    """`run.json` in a run's folder leads to its store; where it does not, it is named."""
    folder = stored / "runs" / "done"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(content, encoding="utf-8")
    said = mdnbench("report", "done")
    assert said.code == 2
    assert str(folder / "run.json") in said.err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE run_cells SET method = 'stranger'", "cells of the run 'done' are none that its facts name"),
        ("UPDATE run_cells SET seed = 7 WHERE position = 0", "1 cells of the run 'done' are none"),
        ("UPDATE run_cells SET noise = 'white'", "are none that its facts name"),
        ("UPDATE runs SET facts = '{}'", "the facts of the run 'done' are damaged: it lacks the key 'dataset'"),
        ("UPDATE runs SET facts = '['", "the facts of the run 'done' are damaged: it is no JSON"),
        ("UPDATE provenances SET id = id + 90", "rows of outputs refer to rows of provenances that are not there"),
        ("UPDATE provenances SET content = id", "is damaged: it is 1"),
        ("UPDATE outputs SET seconds = 'soon'", "8 rows of outputs have a seconds of the wrong kind"),
        ("UPDATE scores SET value = x'00'", "rows of scores have a value of the wrong kind"),
        ("UPDATE outputs SET status = 'fine'", "8 rows of outputs have a status that is none"),
    ],
)
def test_a_store_with_rows_that_nobody_wrote(mdnbench: Any, stored: Path, change: str, says: str) -> None:
    """`store check` tells what SQLite does not see; no command that meets it ends in a traceback."""
    with closing(sqlite3.connect(stored / "results.sqlite", isolation_level=None)) as connection:
        connection.execute(change)
    checked = mdnbench("store", "check")
    assert checked.code == 4
    assert says in checked.out
    for command in (("report", "done", "--to", "md,csv"), ("compare", "done"), ("list", "runs")):
        said = mdnbench(*command)
        assert said.code in (0, 3, 5)
        if said.code == 3:
            assert "`mdnbench store check` says more" in said.err


def test_an_error_beside_a_damaged_store_is_named(mdnbench: Any, stored: Path, plugin: Any) -> None:
    """A reporter's own bug does not hide behind rows that nobody wrote: what was raised, and where, is said too."""
    path = plugin(
        """
        def write(results, folder):
            raise RuntimeError("my own bug")
        @mdnbench.hookimpl
        def mdnbench_reporters():
            return [mdnbench.ReporterSpec("own", "raises", write)]
        """
    )
    with closing(sqlite3.connect(stored / "results.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE provenances SET id = id + 90")
    said = mdnbench("report", "done", "--to", "own", "--plugin", path)
    assert said.code == 3
    assert "It may be why this failed: RuntimeError: my own bug" in said.err


def test_a_file_of_one_byte_is_no_empty_store(mdnbench: Any, stored: Path) -> None:
    """SQLite itself would take it for one, and write over it."""
    path = stored / "results.sqlite"
    path.write_bytes(b"x")
    said = mdnbench("list", "runs")
    assert said.code == 3
    assert f"{path} cannot be used" in said.err
    assert path.read_bytes() == b"x"


def test_a_store_whose_schema_is_no_utf8(mdnbench: Any, stored: Path, workspace: Path) -> None:
    """A damaged name in SQLite's own complaint, or in a table, is no traceback: here and in a store that comes in."""
    path = stored / "results.sqlite"
    sound = path.read_bytes()
    damaged = sound.replace(b"CREATE TABLE scores", b"CREATE TABXE \xf3cores").replace(b"scores", b"\xf3cores")
    assert damaged != sound
    (workspace / "other").mkdir()
    (workspace / "other" / "results.sqlite").write_bytes(damaged)
    assert mdnbench("store", "merge", "other").code == 3
    path.write_bytes(damaged)
    for command in (("store", "check"), ("report", "done"), ("compare", "done")):
        assert mdnbench(*command).code == 3
        assert path.read_bytes() == damaged


def test_a_carriage_return_in_a_name_begins_no_line(tiny: Path, workspace: Path) -> None:
    """`cells.csv` quotes it, so that the name comes back and the line stays one."""
    names = "a\rb", "\rc", "d\ne"
    (workspace / "odd").mkdir()
    for name in names:
        shutil.copy(next(tiny.glob("*.png")), workspace / "odd" / f"{name}.png")
    found = api.run(methods=["noisy"], sigma=50, dataset="odd", metrics=["psnr"], timing=False, jobs=1)
    with (found.folder / "cells.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"].removeprefix("'") for row in rows} == set(names)
    assert b"\r\n" not in (found.folder / "cells.csv").read_bytes()

"""The store: what it creates, what it refuses and leaves alone, and what a transaction holds together."""

from __future__ import annotations

import dataclasses
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_records
import pytest
from made_records import PROVENANCE, benchmark, run_facts, timing_record

from mdnbench.errors import StoreError
from mdnbench.spec.records import Cell, MetricScore, Outcome
from mdnbench.store import Store, open_store, row_checks, schema

CELL = Cell("sk12", "01", "d" * 64, "gaussian:sigma=50", 0, "noisy", "known", "case", "output")
SCORES = (MetricScore("psnr", "ok", 14.5), MetricScore("lpips", "skipped", None, "no backbone"))
OUTCOME = Outcome("output", "ok", seconds=0.5, noisy_digest="n", output_digest="o", scores=SCORES)
REVISIONS = {"psnr": "1", "ssim": "1", "lpips": "1"}
FACTS = run_facts(["noisy", "bm3d"])

OPENER = """
import sys, time
from pathlib import Path
sys.path.append(sys.argv[3])
from made_records import FACTS
from mdnbench.store import open_store
time.sleep(max(0, float(sys.argv[1]) - time.time()))
store = open_store(Path("shared/results.sqlite"))
for name in range(5):
    store.start_run(f"{sys.argv[2]}-{name}", 1, FACTS)
"""


@pytest.fixture
def store(workspace: Path) -> Iterator[Store]:
    """An empty store."""
    found = open_store(workspace / ".mdnbench" / "results.sqlite")
    yield found
    found.close()


def save(store: Store, cell: Cell = CELL, outcome: Outcome = OUTCOME) -> int:
    """One outcome, committed."""
    with store.transaction():
        return store.save(cell, outcome, "rule", REVISIONS, PROVENANCE)


def test_a_store_is_made_from_nothing(store: Store) -> None:
    """A new file has every table, our mark, this schema's version, and write-ahead logging."""
    names = {row[0] for row in store.select("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == {"provenances", "outputs", "scores", "runs", "run_cells", "timings", "manifests"}
    assert next(store.select("PRAGMA user_version"))[0] == schema.VERSION
    assert next(store.select("PRAGMA application_id"))[0] == schema.APPLICATION_ID
    assert store.wal


def test_a_store_is_opened_again_with_all_that_it_held(store: Store) -> None:
    """Closed and opened, the outcome and its scores are there."""
    identity = save(store)
    store.close()
    again = open_store(store.path)
    assert again.outputs(["output", "other"])["output"].id == identity
    assert again.scored([identity], "rule", REVISIONS) == {identity: {"psnr"}}
    again.close()


@pytest.mark.parametrize(
    "content",
    [b"this is a text and no database, long enough to have a header of its own" * 9, b"SQLite format 3\0" * 40],
)
def test_fault_29_what_is_no_sqlite_file_is_refused_and_left_alone(workspace: Path, content: bytes) -> None:
    """A text, or a damaged header: the message names the file, which keeps every byte."""
    path = workspace / "results.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="Move it away or choose another folder") as error:
        open_store(path)
    assert str(path) in str(error.value)
    assert path.read_bytes() == content
    assert [each.name for each in workspace.iterdir()] == ["results.sqlite"]


def test_fault_29_a_file_damaged_inside_is_refused_by_name(store: Store) -> None:
    """A page that was overwritten is found when it is read: one message with the path, no traceback."""
    for number in range(400):
        save(store, dataclasses.replace(CELL, output=f"output-{number}"), OUTCOME)
    store.close()
    content = bytearray(store.path.read_bytes())
    content[4096 * 2 :] = b"\xa5" * (len(content) - 4096 * 2)
    store.path.write_bytes(content)
    damaged = open_store(store.path)
    with pytest.raises(StoreError, match=r"cannot be read: .*malformed.*restore it from a copy"):
        list(damaged.outputs([f"output-{number}" for number in range(400)]))
    damaged.close()
    assert store.path.read_bytes() == content


def test_a_foreign_database_is_refused_and_left_alone(workspace: Path) -> None:
    """Another program's SQLite file is not ours to write to."""
    path = workspace / "results.sqlite"
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE photos (id INTEGER)")
    foreign.close()
    content = path.read_bytes()
    with pytest.raises(StoreError, match="not one of mdnbench's; it is left alone"):
        open_store(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (schema.VERSION + 1, "newer than this mdnbench .*; upgrade mdnbench"),
        (schema.VERSION - 1, "which no released mdnbench wrote .* Move it away, and run again"),
        (0, "which no released mdnbench wrote .* Move it away, and run again"),
    ],
)
def test_a_store_of_another_version_is_refused_and_left_alone(store: Store, version: int, words: str) -> None:
    """It says what to do, and is not brought to this version."""
    store.connection.execute(f"PRAGMA user_version = {version}")
    store.close()
    content = store.path.read_bytes()
    with pytest.raises(StoreError, match=f"{re.escape(str(store.path))} has schema {version}, {words}"):
        open_store(store.path)
    assert store.path.read_bytes() == content


def test_one_that_fails_to_create_its_tables_leaves_an_empty_file(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tables or none: the next one that opens the file makes them."""
    path = workspace / "results.sqlite"
    with monkeypatch.context() as patched:
        patched.setattr(schema, "SCHEMA", f"{schema.SCHEMA}; INSERT INTO nowhere VALUES (1)")
        with pytest.raises(StoreError, match="cannot be used"):
            open_store(path)
    with sqlite3.connect(path) as connection:
        assert schema.parts_of(connection) == []
    connection.close()
    open_store(path).close()


def test_a_folder_in_the_way_is_refused(workspace: Path) -> None:
    """What cannot be opened or made is an error with its path."""
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(workspace)
    (workspace / "file").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(workspace / "file" / "results.sqlite")


def test_many_processes_may_open_one_new_store(workspace: Path) -> None:
    """Whoever comes first creates it; the others find it whole, and nobody is told that it is locked or foreign."""
    for turn in range(3):
        folder = workspace / str(turn)
        folder.mkdir()
        start = time.time() + 0.5
        openers = [
            subprocess.Popen(
                [sys.executable, "-c", OPENER, str(start), str(number), str(Path(made_records.__file__).parent)],
                cwd=folder,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(5)
        ]
        assert [opener.communicate(timeout=60)[1] for opener in openers] == [""] * 5
        found = open_store(folder / "shared" / "results.sqlite")
        assert len(found.run_names()) == 25
        found.close()


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    """What fails half-way leaves nothing behind, and the store goes on working, provenance included."""

    def half() -> None:
        with store.transaction():
            store.save(CELL, OUTCOME, "rule", REVISIONS, PROVENANCE)
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        half()
    assert store.outputs(["output"]) == {}
    assert list(store.select("SELECT * FROM scores")) == []
    identity = save(store)
    assert store.outputs(["output"])["output"].id == identity


def test_a_refused_write_is_a_store_error(store: Store) -> None:
    """What SQLite refuses becomes our error, with the path."""
    with pytest.raises(StoreError, match="cannot be written"), store.transaction():
        store.connection.execute("INSERT INTO scores VALUES (99, 'rule', 'psnr', '1', 'ok', '', 1.0)")


def test_a_full_disk_is_a_store_error_and_loses_nothing(store: Store) -> None:
    """When the file may not grow any more, what was committed stays and the message says so."""
    save(store)
    pages = next(store.select("PRAGMA page_count"))[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages}")
    long = dataclasses.replace(OUTCOME, traceback="x" * 100_000)
    with pytest.raises(StoreError, match="database or disk is full"):
        save(store, dataclasses.replace(CELL, output="other"), long)
    assert set(store.outputs(["output", "other"])) == {"output"}


def test_a_disk_that_is_full_from_the_start_is_named(workspace: Path) -> None:
    """The reason is the disk's, not that there was nothing to roll back."""
    resource = pytest.importorskip("resource", reason="this system has no such limits")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, old[1]))
    try:
        with pytest.raises(StoreError, match="disk") as raised:
            open_store(workspace / "new" / "results.sqlite")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert "rollback" not in str(raised.value)


def test_an_output_is_replaced_by_a_later_one(store: Store) -> None:
    """The same key keeps its identity; status, reason and scores are the later ones."""
    failed = Outcome("output", "failed", "RuntimeError: no luck", "Traceback …")
    first = save(store, CELL, failed)
    assert store.outputs(["output"])["output"].status == "failed"
    second = save(store)
    assert first == second
    (row,) = store.select("SELECT status, reason, traceback FROM outputs")
    assert row == ("ok", "", "")


@pytest.mark.parametrize(
    ("later", "kept"),
    [
        ({}, {"psnr": 14.5, "ssim": 0.5}),
        ({"output_digest": "other pixels"}, {"psnr": 14.5}),
        ({"status": "failed", "output_digest": "", "scores": ()}, {}),
    ],
)
def test_scores_go_where_their_pixels_go(store: Store, later: dict[str, Any], kept: dict[str, float]) -> None:
    """The same pixels keep what other rules made of them; other pixels, or none, have their own scores alone."""
    identity = save(store)
    other = save(store, dataclasses.replace(CELL, output="other"))
    with store.transaction():
        for output in (identity, other):
            beside = Outcome("", "ok", scores=(MetricScore("ssim", "ok", 0.5),))
            store.save_scores(output, beside, "other rule", REVISIONS)
    assert save(store, CELL, dataclasses.replace(OUTCOME, **later)) == identity
    values = "SELECT metric, value FROM scores WHERE output = ? AND status = 'ok'"
    assert dict(store.select(values, [identity])) == kept
    assert dict(store.select(values, [other])) == {"psnr": 14.5, "ssim": 0.5}


def test_a_value_gives_way_to_a_failure_only_where_all_is_fresh(store: Store) -> None:
    """A metric that goes wrong the next time takes no value away, unless everything was to be computed again."""
    identity = save(store)
    worse = dataclasses.replace(OUTCOME, scores=(MetricScore("psnr", "failed", reason="OSError: gone"),))
    save(store, CELL, worse)
    assert store.scored([identity], "rule", REVISIONS) == {identity: {"psnr"}}
    with store.transaction():
        store.save(CELL, worse, "rule", REVISIONS, PROVENANCE, fresh=True)
    scores = {row[0]: row[1:] for row in store.select("SELECT metric, status, value, reason FROM scores")}
    assert scores["psnr"] == ("failed", None, "OSError: gone")


def test_a_text_with_a_lone_surrogate_is_stored(store: Store) -> None:
    """What is left of a file name that is not UTF-8 is written as an escape, in an output's texts and in a score's."""
    text = os.fsdecode(b"/data/caf\xe9.npy")
    scores = (MetricScore("psnr", "failed", reason=text),)
    save(store, CELL, Outcome("output", "failed", text, f"Traceback: {text}", scores=scores))
    shown = "/data/caf\\udce9.npy"
    assert list(store.select("SELECT reason, traceback FROM outputs")) == [(shown, f"Traceback: {shown}")]
    assert list(store.select("SELECT reason FROM scores")) == [(shown,)]


def test_scores_count_for_their_rule_and_revision_only(store: Store) -> None:
    """A score under another rule, of another revision, or without a value does not answer."""
    identity = save(store)
    assert store.scored([identity], "rule", REVISIONS) == {identity: {"psnr"}}
    assert store.scored([identity], "other rule", REVISIONS) == {}
    assert store.scored([identity], "rule", {**REVISIONS, "psnr": "2"}) == {}


@pytest.mark.parametrize(
    ("rule", "revisions", "values"),
    [
        ("rule", {"psnr": "1"}, 1), ("rule", {"psnr": "1", "ssim": "1"}, 2), ("rule", {}, 0),
        ("rule", {"psnr": "2"}, 0), ("rule", {"psnr": "1", "lpips": "1"}, 1), ("other rule", {"psnr": "1"}, 0),
    ],
)  # fmt: skip
def test_an_output_is_complete_with_every_value_that_is_asked_for(
    store: Store, rule: str, revisions: dict[str, str], values: int
) -> None:
    """Values under this rule, of these revisions, count; a skipped score is none, and a failed cell is not complete."""
    both = dataclasses.replace(OUTCOME, scores=(*SCORES, MetricScore("ssim", "ok", 0.5)))
    save(store, outcome=both)
    save(store, dataclasses.replace(CELL, output="failed"), dataclasses.replace(both, status="failed"))
    keys = ["output", "failed", "absent"]
    assert {key: row.scores for key, row in store.outputs(keys, rule, revisions).items()} == {
        "output": values, "failed": values,
    }  # fmt: skip
    assert store.complete([[key] for key in keys], rule, revisions) == (values == len(revisions))


def test_a_run_begins_anew_under_its_name(store: Store) -> None:
    """What takes an old name has its own facts and cells, and an id that no process at the old run knows."""
    identity = save(store)
    run = store.start_run("a", 3, FACTS)
    with store.transaction():
        store.add_cells(run, [(0, identity, CELL)])
    store.finish_run(run)
    found = store.run("a")
    assert found is not None
    assert found.finished
    assert store.start_run("a", 5, dataclasses.replace(FACTS, seeds=2)) != run
    found = store.run("a")
    assert found is not None
    assert (found.planned, found.finished, found.facts) == (5, "", dataclasses.replace(FACTS, seeds=2))
    assert list(store.select("SELECT * FROM run_cells")) == []
    assert set(store.outputs(["output"])) == {"output"}
    assert store.run("b") is None


@pytest.mark.parametrize("change", ["methods", "order", "planned"])
def test_a_run_that_lost_its_name_adds_nothing(store: Store, change: str) -> None:
    """Another process under the same name, with another plan: the first one stops in one line, and nothing is mixed."""
    run, identity = store.start_run("a", 2, FACTS), save(store)
    with store.transaction():
        store.add_cells(run, [(0, identity, CELL)])
    other = open_store(store.path)
    names = {"methods": ["median"], "order": ["bm3d", "noisy"]}.get(change, ["noisy", "bm3d"])
    later = other.start_run("a", 3 if change == "planned" else 2, run_facts(names))

    def add() -> None:
        with store.transaction():
            store.save(dataclasses.replace(CELL, output="second"), OUTCOME, "rule", REVISIONS, PROVENANCE)
            store.add_cells(run, [(1, identity, CELL)])

    for write in (add, lambda: store.amend_run(run, FACTS), lambda: store.finish_run(run)):
        with pytest.raises(StoreError, match=r"begun later, took the name 'a'; .* another --out\.$"):
            write()
    with other.transaction():
        other.add_cells(later, [(1, identity, CELL)])
    other.finish_run(later)
    other.close()
    assert list(store.select("SELECT run, position FROM run_cells")) == [(later, 1)]
    assert set(store.outputs(["output", "second"])) == {"output"}
    assert not store.connection.in_transaction


def test_two_processes_at_one_run_share_it(store: Store) -> None:
    """The same plan under the same name, on another machine too: one run, with the cells of both."""
    other, identity = open_store(store.path), save(store)
    elsewhere = dataclasses.replace(FACTS.environment, cpu="two")
    run = store.start_run("a", 2, dataclasses.replace(FACTS, notes=("on a cluster",)))
    with store.transaction():
        store.add_cells(run, [(0, identity, CELL)])
    assert other.start_run("a", 2, dataclasses.replace(FACTS, environment=elsewhere)) == run
    with other.transaction():
        other.add_cells(run, [(1, identity, CELL)])
    for each in (store, other):
        each.finish_run(run)
    other.close()
    assert [row[0] for row in store.select("SELECT position FROM run_cells ORDER BY position")] == [0, 1]


@pytest.mark.parametrize(
    "change",
    [{"method": "median"}, {"image": "02"}, {"image_digest": "e" * 64}, {"noise": "poisson:peak=30"}, {"seed": 1}, {}],
)
def test_cells_of_another_plan_are_reported(store: Store, change: dict[str, Any]) -> None:
    """A check counts the cells that the facts of their run do not name, or whose place is beyond its end."""
    run, identity = store.start_run("a", 2, FACTS), save(store)
    other = (1 if change else 2, identity, dataclasses.replace(CELL, **change))
    with store.transaction():
        store.add_cells(run, [(0, identity, CELL), other])
    (line,) = row_checks.unnamed(store)
    assert line == "1 cells of the run 'a' are none that its facts name."


def test_runs_are_listed_newest_first(store: Store) -> None:
    """The last one begun comes first, also when an old name begins again."""
    for name in ("a", "b", "c"):
        store.start_run(name, 1, FACTS)
        time.sleep(0.002)
    store.start_run("a", 1, FACTS)
    assert store.run_names() == ["a", "c", "b"]


def test_timings_are_kept_by_key(store: Store) -> None:
    """A record comes back as it was written; the same key is replaced."""
    first, second = timing_record(benchmark("a")), timing_record(benchmark("b"))
    store.save_timing("key", first)
    store.save_timing("key", second)
    found = store.timing("key")
    assert found is not None
    assert found.content == second
    assert store.timing("other") is None

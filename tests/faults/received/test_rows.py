"""A received store whose rows are none that mdnbench writes: other kinds of values, absurd JSON, absurd numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mdnbench import api

pytestmark = pytest.mark.timeout(180)

FACTS = "UPDATE runs SET facts = json_set(facts, '{}', {})"
CHANGES = {
    "bytes for a score": "UPDATE scores SET value = x'00'",
    "a text for a score": "UPDATE scores SET value = 'good'",
    "bytes for a status": "UPDATE outputs SET status = x'6f6b'",
    "a status that is none": "UPDATE scores SET status = 'splendid'",
    "bytes for a digest": "UPDATE outputs SET output_digest = x'41'",
    "bytes for a name": "UPDATE run_cells SET image = x'3031'",
    "a text for seconds": "UPDATE outputs SET seconds = 'soon'",
    "a seed that is none": "UPDATE run_cells SET seed = 4000000000000",
    "facts that are bytes": "UPDATE runs SET facts = CAST(facts AS BLOB)",
    "facts that are a number": "UPDATE runs SET facts = 7",
    "facts nested deeply": "UPDATE runs SET facts = replace(hex(zeroblob(200000)), '00', '[')",
    "facts of tables nested deeply": "UPDATE runs SET facts = replace(hex(zeroblob(50000)), '00', '{\"a\":')",
    "facts of a hundred megabytes": "UPDATE runs SET facts = '\"' || hex(zeroblob(50000000)) || '\"'",
    "seeds without end": FACTS.format("$.seeds", 10**15),
    "seeds that are a text": FACTS.format("$.seeds", "'many'"),
    "a billion decimals": FACTS.format("$.metric_facts.psnr.digits", 10**9),
    "a direction that is none": FACTS.format("$.metric_facts.psnr.direction", "'sideways'"),
    "images that are a list": FACTS.format("$.images", "json('[]')"),
    "cells without end": f"UPDATE runs SET planned = {2**62}",
    "fewer than no cells": "UPDATE runs SET planned = -1",
    "a provenance that is a list": "UPDATE provenances SET content = '[]' WHERE id = (SELECT min(id) FROM provenances)",
    "a provenance nested deeply": "UPDATE provenances SET content = replace(hex(zeroblob(200000)), '00', '[') || id",
}  # fmt: skip
MERGED_ONLY = {
    "no provenance": "UPDATE provenances SET id = id + 90",
    "a manifest that is no table": "UPDATE manifests SET files = '[1]'",
    "a manifest of other fields": """UPDATE manifests SET files = '{"method": [["plugin", "a.py"]]}'""",
    "a timing that is a list": "INSERT INTO timings VALUES ('key', 'now', '[]')",
    "a timing without an end": "INSERT INTO timings VALUES ('key', 'now', replace(hex(zeroblob(200000)), '00', '['))",
}
NAMES = (
    "../../x", "/tmp/x", "a/b", ".", "..", "", "-x", "con", "a\nb", "a\x1b[31mb", "a\x00b", "x" * 300, ".ssh", "a\\b",
)  # fmt: skip
READERS = (("report", "done", "--to", "md,csv"), ("compare", "done"), ("claims", "done"))


@pytest.mark.parametrize("commands", [READERS[:1], pytest.param(READERS, marks=pytest.mark.full)], ids=["one", "all"])
@pytest.mark.parametrize("what", [*CHANGES, *MERGED_ONLY])
def test_fault_55_a_received_store_with_rows_that_nobody_wrote(
    said: Any, stored: Path, other: Path, alter: Any, files: Any, what: str, commands: Any
) -> None:
    """Nothing of it comes in, and no number is made of it: it is refused by its own path, in one line."""
    alter(other, (CHANGES | MERGED_ONLY)[what])
    before = files(stored.parent)
    found = said("store", "merge", "other")
    assert (found.code, "other/results.sqlite" in found.err) == (3, True), found
    assert files(stored.parent) == before
    (other / "results.sqlite").replace(stored / "results.sqlite")
    if what not in CHANGES:
        return
    before = files(stored)
    for command in commands:
        found = said(*command)
        assert (found.code, str(stored / "results.sqlite") in found.err) == (3, True), (command, found)
        assert files(stored) == before


def test_fault_55_a_received_store_is_not_checked_against_or_scored(
    said: Any, stored: Path, workspace: Path, alter: Any
) -> None:
    """`check` and `rescore` refuse a text for a score as well; an average of texts would be 0."""
    results = api.open_run("done")
    api.write_baseline(results, workspace / "base")
    results.store.close()
    alter(stored, CHANGES["a text for a score"])
    for command in (("check", "done", "--baseline", "base"), ("rescore", "done")):
        found = said(*command)
        assert (found.code, "scores hold a value of the wrong kind" in found.err) == (3, True), found


@pytest.mark.parametrize("name", NAMES)
def test_fault_55_a_run_with_a_name_that_no_run_gets(
    said: Any, stored: Path, other: Path, alter: Any, around: Any, name: str
) -> None:
    """It is not merged, and nothing is written under it, in whatever folder that would be."""
    alter(other, "UPDATE runs SET name = ?", name)
    before = around(stored)
    found = said("store", "merge", "other")
    assert (found.code, "other/results.sqlite" in found.err) == (3, True)
    assert around(stored) == before
    (other / "results.sqlite").replace(stored / "results.sqlite")
    before = around(stored)
    if "\x00" not in name and name:
        assert said("report", "--", name).code in (2, 3, 5)
    assert said("list", "runs").code == 0
    assert around(stored) == before
    assert "is one that no run gets" in said("store", "check").out


@pytest.mark.parametrize("digest", ["../../secret", "/etc/passwd", "x" * 5000, "a\x00b", ""])
def test_fault_55_a_digest_that_is_a_path(said: Any, stored: Path, alter: Any, digest: str) -> None:
    """It leads to no file: the page is made without that picture."""
    alter(stored, "UPDATE outputs SET output_digest = ?", digest)
    assert said("report", "done", "--to", "html").code == 0


def test_a_sound_store_comes_in(said: Any, stored: Path, other: Path) -> None:
    """What is refused above is refused for what was changed, and for nothing else."""
    assert said("store", "merge", "other").code == 0
    assert said("store", "check").code == 0
    for command in READERS:
        assert said(*command).code in (0, 5)  # no number that was printed is known of this run

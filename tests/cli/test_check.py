"""`mdnbench check` as CI runs it: exit codes, what is shown, and what is written where."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Mdnbench = Callable[..., Any]


@pytest.fixture
def here(finished: Any, workspace: Path, mdnbench: Mdnbench) -> Path:
    """A copy of the finished run as this folder's workspace, and its own baseline beside it."""
    shutil.copytree(finished.store.path.parent, workspace / ".mdnbench")
    said = mdnbench("check", "done", "--baseline", "base", "--update")
    assert (said.code, said.err) == (0, "")
    return workspace


def edit(path: Path, pattern: str, value: str) -> None:
    """Replace what a pattern finds."""
    text, count = re.subn(pattern, value, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count
    path.write_text(text, encoding="utf-8")


def fall(folder: Path) -> None:
    """Let the baseline have been 5 dB better."""
    edit(folder / "base.csv", r",median,ok,,2(\d)\.", r",median,ok,,3\1.")


def test_a_pass_ends_with_0(here: Path, mdnbench: Mdnbench) -> None:
    """All is well: a table per noise, and the conclusion."""
    said = mdnbench("check", "done", "--baseline", "base")
    assert (said.code, said.err) == (0, "")
    assert "gaussian:sigma=50" in said.out
    assert "done against base: no regression (8 means compared)" in said.out


def test_a_regression_ends_with_1(here: Path, mdnbench: Mdnbench) -> None:
    """The mean that fell is marked, with what was allowed."""
    fall(here)
    said = mdnbench("check", "done", "--baseline", "base")
    assert said.code == 1
    assert "REGRESSION" in said.out
    assert "means fell" in said.out.splitlines()[-1]


def test_a_run_is_named_by_its_folder_too(here: Path, mdnbench: Mdnbench) -> None:
    """The name, and the path of its folder from anywhere, are the same run."""
    folder = here / ".mdnbench" / "runs" / "done"
    assert mdnbench("check", folder, "--baseline", "base.toml").code == 0


def test_json_is_valid_and_has_the_exit_code(here: Path, mdnbench: Mdnbench) -> None:
    """Programs read the verdict on stdout, and nothing else stands there."""
    fall(here)
    said = mdnbench("check", "done", "--baseline", "base", "--json")
    found = json.loads(said.out)
    assert said.code == found["exit_code"] == 1
    assert {gate["state"] for gate in found["gates"]} == {"pass", "regression"}


@pytest.mark.parametrize("fallen", [False, True])
def test_the_summary_of_a_ci_run_is_added_to(
    here: Path, mdnbench: Mdnbench, monkeypatch: pytest.MonkeyPatch, fallen: bool
) -> None:
    """Where GITHUB_STEP_SUMMARY is set, the verdict is appended as Markdown, and what stood there stays."""
    summary = here / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    if fallen:
        fall(here)
    said = mdnbench("check", "done", "--baseline", "base")
    text = summary.read_text(encoding="utf-8")
    assert said.code == int(fallen)
    assert text.startswith("before\n### done against base: ")
    assert ("REGRESSION" in text) == fallen
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 * (2 + 4)
    assert len({line.count("|") for line in rows}) == 1


def test_a_tolerance_is_given_by_hand(here: Path, mdnbench: Mdnbench) -> None:
    """A wide tolerance lets a fall pass; one that is none is refused."""
    fall(here)
    assert mdnbench("check", "done", "--baseline", "base", "--tolerance", "psnr=50").code == 0
    for wrong in ("psnr", "psnr=much", "psnr=-1", "psnr=nan", "psnr=inf", "=1"):
        said = mdnbench("check", "done", "--baseline", "base", "--tolerance", wrong)
        assert said.complaint()
        assert said.code == 2


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lambda here: (here / "base.toml").unlink(), 2, "there is no baseline file base.toml"),
        (lambda here: (here / "base.csv").unlink(), 2, "base.csv is missing next to its .toml"),
        (lambda here: edit(here / "base.toml", "^schema = 1", "schema = 7"), 2, "has schema 7"),
        (lambda here: edit(here / "base.toml", '^protocol_hash = "[^"]*"', 'protocol_hash = "0"'), 2, "protocol: "),
        (lambda here: edit(here / "base.toml", '^dataset_digest = "[^"]*"', 'dataset_digest = "0"'), 2, "data set"),
        (lambda here: edit(here / "base.csv", "sigma=(25|50)", r"sigma=9\1"), 5, "0 cells compared"),
    ],
)
def test_fault_27_each_obstacle_has_its_message_and_code(
    here: Path, mdnbench: Mdnbench, change: Callable[[Path], None], code: int, says: str
) -> None:
    """A baseline that is missing, newer, unlike or empty: one line, and never 0."""
    change(here)
    said = mdnbench("check", "done", "--baseline", "base")
    assert says in said.complaint()
    assert said.code == code


@pytest.mark.parametrize(
    ("name", "baseline", "code", "says"),
    [
        ("dnoe", "base", 2, "no run is named 'dnoe'. Did you mean 'done'?"),
        ("done", ".", 2, "baseline"),
        ("done", "nowhere/base", 2, "there is no baseline file nowhere/base.toml"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_mistake_gets_one_line(mdnbench: Mdnbench, name: str, baseline: str, code: int, says: str) -> None:
    """A run or a baseline that is not there is named."""
    said = mdnbench("check", name, "--baseline", baseline)
    assert says in said.complaint()
    assert said.code == code


def test_without_any_run_there_is_nothing_to_check(mdnbench: Mdnbench) -> None:
    """In an empty folder the message says to run something first."""
    said = mdnbench("check", "done", "--baseline", "base")
    assert "Run something first" in said.complaint()
    assert said.code == 5


def test_hostile_names_are_shown_as_they_are(here: Path, mdnbench: Mdnbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image called like markup, a formula or an escape sequence cannot break the table, the page or the terminal."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here / "summary.md"))
    name = "[bold]<script>|=x\x1b[31m"
    with (here / "base.csv").open("a", encoding="utf-8") as file:
        last = (here / "base.csv").read_text(encoding="utf-8").splitlines()[-1].split(",")
        file.write(",".join([last[0], name, *last[2:]]) + "\n")
    said = mdnbench("check", "done", "--baseline", "base")
    assert said.code == 1
    assert "[bold]<script>|=x" in said.out
    assert "\x1b" not in said.out
    text = (here / "summary.md").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "\x1b" not in text

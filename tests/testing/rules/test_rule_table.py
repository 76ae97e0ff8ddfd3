"""The book of rules: what is written about it, and how its findings read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mdnbench import api, registry
from mdnbench.errors import BadPlugin, UnknownName
from mdnbench.testing import rules
from mdnbench.testing.rules import rule_table
from mdnbench.testing.rules.rule import Finding, Subject, SubjectKind

PAGE = Path(__file__).resolve().parents[3] / "docs" / "plugins.md"
WORDS: dict[SubjectKind, str] = {
    "method": "methods", "noise": "noises", "metric": "metrics", "data set": "data sets", "reporter": "reporters",
}  # fmt: skip


def test_the_page_lists_every_rule() -> None:
    """Name, kinds and what it asks stand in the table as they stand in the code."""
    listed = re.findall(r"^\| `([a-z-]+)` \| ([a-z, ]+) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    expected: dict[str, tuple[list[str], str]] = {}
    for kind in rule_table.RULES:
        for name in rule_table.names(kind):
            expected.setdefault(name, ([], rule_table.summary(kind, name)))[0].append(WORDS[kind])
    written = {f"| `{name}` | {kinds} | {asked} |" for name, kinds, asked in listed}
    wanted = {f"| `{name}` | {', '.join(kinds)} | {asked} |" for name, (kinds, asked) in expected.items()}
    assert written == wanted, "\n".join(
        ["docs/plugins.md, the table of Check it:", *(f"add {row}" for row in sorted(wanted - written)),
         *(f"remove {row}" for row in sorted(written - wanted))]
    )  # fmt: skip


def test_a_finding_says_what_to_do() -> None:
    """A broken rule is four lines; others are one."""
    subject = Subject("method", "blur")
    text = str(Finding(subject, "contract-dtype", "broken", "float32", "float64", "end with `.float()`."))
    assert text.splitlines() == [
        "method blur: contract-dtype is broken", "expected: float32", "got: float64", "fix: end with `.float()`.",
    ]  # fmt: skip
    assert str(Finding(subject, "contract-dtype", "kept")) == "method blur: contract-dtype is kept"
    assert "was not looked at: no file" in str(Finding(subject, "contract-dtype", "skipped", got="no file"))


def test_plugins_are_found_by_file_source_and_name(tmp_path: Path) -> None:
    """A file's own things, an installed plugin's, one thing by its name, or everything."""
    (path,) = [each for each in api.new_plugin("mine", "metric", folder=tmp_path) if each.name == "mine.py"]
    known = registry.load([path])
    assert rules.subjects_of(path, known) == (Subject("metric", "mine"),)
    assert {each.name for each in rules.subjects_of("noises", known)} == set(known.noises)
    assert rules.subjects_of("tv", known) == (Subject("method", "tv"),)
    everything = rules.subjects_of("all", known)
    assert Subject("metric", "mine") in everything
    assert Subject("reporter", "csv") in everything


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """A name that nothing bears, a file that is not there and a broken one end with their reason."""
    with pytest.raises(UnknownName, match="Did you mean 'median'"):
        api.check_plugin("medain")
    with pytest.raises(BadPlugin, match="there is no file"):
        api.check_plugin(tmp_path / "nothing.py")
    (tmp_path / "torn.py").write_text("import nothing_of_this_name\n", encoding="utf-8")
    with pytest.raises(BadPlugin, match="nothing_of_this_name"):
        api.check_plugin(tmp_path / "torn.py")

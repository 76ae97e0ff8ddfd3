"""The conformance kit against plugins that are wrong on purpose: each is caught by its rule and by no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdnbench import registry
from mdnbench.testing import rules
from mdnbench.testing.rules import rule_table
from mdnbench.testing.rules.rule import Finding

ZOO = Path(__file__).parent / "zoo"
BEYOND = {"dies": "exit code 7", "hangs": "no answer within"}  # what these do has no rule of its own
ANIMALS = sorted(path for path in ZOO.glob("*.py") if path.stem not in BEYOND)


def findings(paths: list[Path], timeout: float) -> dict[str, list[Finding]]:
    """What the kit finds of each file's plugin, by its name."""
    known = registry.load(paths)
    subjects = [subject for path in paths for subject in rules.subjects_of(path, known)]
    found: dict[str, list[Finding]] = {}
    for finding in rules.check(subjects, known, timeout=timeout):
        found.setdefault(finding.subject.name, []).append(finding)
    return found


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Finding]]:
    """The whole zoo but those that take their process with them, looked at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("zoo"))
        return findings(ANIMALS, 120)


def test_every_rule_has_its_animal() -> None:
    """For each rule of the book there is a plugin that breaks it, and for each plugin a rule."""
    expected = {name for kind in rule_table.RULES for name in rule_table.names(kind)}
    assert {path.stem.replace("_", "-") for path in ANIMALS} == expected


@pytest.mark.parametrize("path", ANIMALS, ids=lambda path: path.stem)
def test_each_is_caught_by_its_rule_and_by_no_other(path: Path, zoo: dict[str, list[Finding]]) -> None:
    """The rule of its name is broken, everything else is kept, or not looked at behind it."""
    name = path.stem.replace("_", "-")
    broken = [finding for finding in zoo[name] if finding.state == "broken"]
    assert [finding.rule for finding in broken] == [name], "\n\n".join(map(str, broken)) or "nothing was found"
    assert {finding.rule for finding in zoo[name]} == set(rule_table.names(zoo[name][0].subject.kind))
    assert broken[0].expected
    assert broken[0].got
    assert broken[0].fix


def test_what_ends_its_process_is_named_and_the_rest_goes_on() -> None:
    """A plugin that dies and one that never answers are found out, each by the first rule that calls it."""
    found = findings([ZOO / f"{name}.py" for name in BEYOND], 10)
    for name, came in BEYOND.items():
        (broken,) = [finding for finding in found[name] if finding.state == "broken"]
        assert broken.rule == "contract-runs"
        assert came in broken.got
        assert {finding.got for finding in found[name] if finding.state == "skipped"} >= {"contract-runs is broken"}

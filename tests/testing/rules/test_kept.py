"""The conformance kit against plugins that are right: those that ship, and those that the templates make."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from mdnbench import registry
from mdnbench.testing import rules, scaffold
from mdnbench.testing.rules import reporters
from mdnbench.testing.rules.rule import Finding, Subject

QUICK = ("classical", "noises", "psnr", "ssim", "sk12")
SPARED = "too short to compare"  # what is over in a fraction of a millisecond cannot be caught remembering
FILES = {kind: f"own-{kind}" for kind in scaffold.KINDS}


def broken(found: tuple[Finding, ...]) -> str:
    """What is wrong, in full."""
    return "\n\n".join(str(finding) for finding in found if finding.state == "broken")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[Subject, list[Finding]]:
    """What the kit finds of the quick ones that ship and of a new plugin of every kind, in one go."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MDNBENCH_HOME", str(folder / "home"))
        paths = [scaffold.write(name, kind)[0] for kind, name in FILES.items()]
        known = registry.load(paths)
        subjects = [each for name in (*QUICK, *paths) for each in rules.subjects_of(name, known)]
        found: dict[Subject, list[Finding]] = {subject: [] for subject in subjects}
        for finding in rules.check(subjects, known):
            found[finding.subject].append(finding)
    return found


def test_quick_plugins_that_ship_keep_every_rule(kept: dict[Subject, list[Finding]]) -> None:
    """The classical methods, all noises, PSNR, SSIM, its settings and sk12 break nothing, and little goes unseen."""
    shipped = {subject: found for subject, found in kept.items() if subject.name not in FILES.values()}
    assert {subject.kind for subject in shipped} == {"method", "noise", "metric", "data set"}
    assert len(shipped) == 5 + 6 + (2 + 3) + 1
    for found in shipped.values():
        assert broken(tuple(found)) == ""
        assert all(SPARED in finding.got for finding in found if finding.state == "skipped"), found


@pytest.mark.parametrize("kind", FILES)
def test_a_new_plugin_keeps_every_rule(kind: str, kept: dict[Subject, list[Finding]]) -> None:
    """What a template makes is right as it stands; the learned one is tried with an untrained network."""
    (found,) = [found for subject, found in kept.items() if subject.name == FILES[kind]]
    assert broken(tuple(found)) == ""
    assert all(SPARED in finding.got for finding in found if finding.state == "skipped"), found


@pytest.mark.full
def test_everything_that_ships_keeps_every_rule(tmp_path: Path) -> None:
    """Every method, noise, metric, data set and reporter; only what needs files that are not here may be skipped."""
    known = registry.load()
    found = rules.check(rules.subjects_of("all", known), known, timeout=600)
    assert broken(found) == ""
    absent = ("not here", "missing", "lacks", "pyarrow", SPARED, "no output to compare")
    assert [str(each) for each in found if each.state == "skipped" and not any(a in each.got for a in absent)] == []
    if os.environ.get("MDNBENCH_DATA_PATH"):
        assert all(each.state == "kept" for each in found if each.subject.name == "lpips")


def test_the_store_beside_a_report_is_not_the_reporters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite keeps files beside a store while it is open, and takes them away with the last one who has it open."""
    known = registry.load()
    pictures, finished = tmp_path / "pictures", tmp_path / "finished"
    for folder in (pictures, finished):
        folder.mkdir()
    monkeypatch.chdir(tmp_path)
    PIL.Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8)).save(pictures / "a.png")
    reporters.finish_run(known, pictures, finished)
    gc.collect()
    assert not list(finished.glob("*.sqlite-*"))
    reporters.writes(reporters.ReporterSubject(known.reporters["html"], finished))

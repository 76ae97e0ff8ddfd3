"""Plateaus: a training whose rate falls at the end alone goes on to a longer budget from before the fall."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench.errors import Interrupted, UsageError
from mdnbench.training import checkpoint, loop
from mdnbench.training.log import TrainingProgress
from mdnbench.weights import Weights

Fit = Callable[..., Weights]


def test_a_longer_budget_goes_on_from_the_plateau(fit: Fit, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished 'wsd' training continued to twice its budget has the bits of one that had it from the start."""
    changes = {"schedule": {"kind": "wsd", "cooldown": 0.4}}
    short = fit(steps=10, changes=changes)
    reports: list[TrainingProgress] = []
    longer = fit(steps=20, changes=changes, report=reports.append)
    assert [report.step for report in reports] == [8, 12, 16, 20]
    assert (short.name, short.card.steps, longer.card.steps) == (longer.name, 10, 20)
    monkeypatch.setenv("MDNBENCH_HOME", str(workspace / "other"))
    assert longer.sha256 == fit(steps=20, changes=changes).sha256 != short.sha256


def test_a_stopped_plateau_takes_another_budget(fit: Fit, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped before its rate fell, a 'wsd' training takes another budget, of any kind, but none it is beyond."""
    changes = {"schedule": {"kind": "wsd", "cooldown": 0.5}}
    steps = iter(range(100))
    with pytest.raises(Interrupted, match="after 9 steps, 22% of its budget"):
        fit(steps=40, changes=changes, stop=lambda: next(steps) == 9)
    with pytest.raises(UsageError, match=r"longer budget: after its 9 steps"):
        fit(steps=18, changes=changes)
    resumed = fit(epochs=10, changes=changes)
    assert resumed.card.steps == 20
    monkeypatch.setenv("MDNBENCH_HOME", str(workspace / "other"))
    assert fit(steps=20, changes=changes).sha256 == resumed.sha256


def test_a_stopped_extension_goes_on_from_where_it_was_stopped(
    fit: Fit, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plateau of an older, shorter budget is not gone back to while the rate of the latest has not fallen."""
    changes = {"schedule": {"kind": "wsd", "cooldown": 0.4}}
    fit(steps=10, changes=changes)
    steps, reports = iter(range(100)), list[TrainingProgress]()
    with pytest.raises(Interrupted, match="after 18 steps, 45% of its budget"):
        fit(steps=40, changes=changes, stop=lambda: next(steps) == 12)
    longer = fit(steps=60, changes=changes, report=reports.append)
    assert reports[0].step == 20
    monkeypatch.setenv("MDNBENCH_HOME", str(workspace / "other"))
    assert fit(steps=60, changes=changes).sha256 == longer.sha256


def test_a_fallen_rate_is_not_taken_for_a_plateau(fit: Fit, home: Path) -> None:
    """Where the checkpoint from before the fall is lost, a longer budget is refused, not begun with the wrong rate."""
    changes = {"schedule": {"kind": "wsd", "cooldown": 0.4}}
    fit(steps=10, changes=changes)
    (path,) = (home / "training").glob("*/plateau.pt")
    path.unlink()
    with pytest.raises(
        UsageError, match=r"has fallen already, and plateau\.pt, .* is not there; give the budget that it"
    ):
        fit(steps=40, changes=changes)
    assert fit(steps=10, changes=changes).card.steps == 10


def test_a_budget_in_minutes_never_misses_its_plateau(fit: Fit, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the checkpoints take that are written meanwhile, the last before the rate falls is kept."""
    save = checkpoint.save

    def slowly(path: Path, state: dict[str, Any]) -> None:
        save(path, state)
        time.sleep(0.5)

    monkeypatch.setattr(checkpoint, "save", slowly)
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    fit(minutes=0.05, changes={"schedule": {"kind": "wsd", "cooldown": 0.4}})
    (path,) = (home / "training").glob("*/plateau.pt")
    saved = checkpoint.load(path, "cpu")
    assert saved
    assert 0.6 <= saved["progress"] <= 1

"""Training as a run needs it: before the cells, within its budget, and no obstacle where it cannot be done."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api, registry, weights
from mdnbench.data import images
from mdnbench.errors import Interrupted
from mdnbench.registry import Registry
from mdnbench.spec.weights import Card, NoiseCoverage
from mdnbench.training import phase
from mdnbench.util.listener import Listener

RUN: dict[str, Any] = {
    "methods": ["tiny", "noisy"], "dataset": "sk12", "images": ["01"], "metrics": ["psnr"], "timing": False, "jobs": 1,
    "train_budget": 0.02,
}  # fmt: skip


class Heard(Listener):
    """Keeps the notes and the order of the phases; presses Ctrl-C when a phase that is named makes progress."""

    def __init__(self, stop_in: str = "") -> None:
        self.said: list[str] = []
        self._stop_in = stop_in

    def note(self, text: str) -> None:
        """Keep a note."""
        self.said.append(text)

    def begin(self, phase: str, total: float) -> None:
        """Keep a phase."""
        self.said.append(f"begin {phase}")

    def progress(self, phase: str, done: float, doing: Any = (), detail: str = "") -> None:
        """Press it once."""
        if phase == self._stop_in:
            self._stop_in = ""
            os.kill(os.getpid(), signal.SIGINT)


def changed(plugin_file: Path, folder: Path, old: str, new: str) -> Path:
    """The plugin file with something else in it, its recipe beside it."""
    (folder / "recipes").mkdir()
    recipe = plugin_file.parent / "recipes" / "best.toml"
    (folder / "recipes" / "best.toml").write_text(recipe.read_text(encoding="utf-8"), encoding="utf-8")
    text = plugin_file.read_text(encoding="utf-8")
    assert old in text
    path = folder / "tiny.py"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_what_has_no_weights_is_trained_first(home: Path, plugin_file: Path) -> None:
    """Announced by the plan and the run, trained before the cells and within the budget, then used; and only once."""
    asked = {**RUN, "plugins": [str(plugin_file)], "noise": ["gaussian:25"]}
    planned = api.plan(**asked)
    assert api.estimate(planned).trainings == ("tiny",)
    heard = Heard()
    found = api.run(listener=heard, **asked)
    assert [text for text in heard.said if not text.startswith("begin leaks")][:4] == [
        "no weights for tiny: each is trained now, for 0.02 minutes at most.",
        "left out of own, because they overlap sk12: cat", "begin training tiny", "begin cells",
    ]  # fmt: skip
    (made,) = weights.trained("tiny")
    assert made.card.minutes < 0.5
    assert made.card.left_out == ("cat",)
    assert {row.method: row.status for row in found.rows()} == {"tiny": "ok", "noisy": "ok"}
    assert found.exit_code == 0

    assert api.estimate(api.plan(**asked)).trainings == ()
    again = Heard()
    api.run(listener=again, **asked)
    assert "begin training tiny" not in again.said
    (work,) = (work for work in api.plan(**{**asked, "noise": ["gaussian:50"]}).works if work.named.name == "tiny")
    assert work.note == "trained for gaussian sigma 20–30, not for gaussian:sigma=50"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows delivers Ctrl-C to whole consoles")
def test_ctrl_c_while_a_run_trains(home: Path, plugin_file: Path) -> None:
    """The training saves a checkpoint, the run ends as stopped, and the same run goes on from there."""
    asked = {**RUN, "plugins": [str(plugin_file)], "noise": ["gaussian:25"], "train_budget": 0.05}
    with pytest.raises(Interrupted, match="the same command goes on from there"):
        api.run(listener=Heard("training tiny"), **asked)
    (checkpoint,) = (home / "training").glob("*/checkpoint.pt")
    assert weights.trained("tiny") == []
    assert checkpoint.stat().st_size > 0
    phase.train_missing(api.plan(**asked), Listener())
    (made,) = weights.trained("tiny")
    lines = (checkpoint.parent / "log.csv").read_text().splitlines()
    steps = [int(line.split(",")[0]) for line in lines[1:]]
    assert steps == sorted(set(steps))
    assert made.card.minutes < 0.5


def test_without_training_data_the_cells_are_skipped_with_that_reason(
    cli: Callable[..., subprocess.CompletedProcess[str]], plugin_file: Path, workspace: Path, no_data: None
) -> None:
    """On a machine without training data and network, the others run; the method was named, so the exit code is 4."""
    path = changed(
        plugin_file, workspace, "tuple(CUTS), load)", 'tuple(CUTS), load, (mdnbench.DataFile("cuts.zip", "0" * 64),))'
    )
    path.write_text("import mdnbench\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    ran = cli(
        "run", "--methods", "tiny,noisy", "--dataset", "sk12", "--images", "01", "--metrics", "psnr", "--sigma", 25,
        "--no-timing", "--jobs", 1, "--plugin", path,
    )  # fmt: skip
    assert ran.returncode == 4, ran.stderr
    assert (
        "tiny is skipped: it has no weights and cannot be trained here: datasets/own/cuts.zip is missing" in ran.stderr
    )
    assert re.search(r"noisy\b.*20\.\d", ran.stdout)
    assert "Traceback" not in ran.stderr


def test_what_cannot_be_trained_is_skipped_alone(home: Path, plugin_file: Path, workspace: Path) -> None:
    """No budget, or a recipe that cannot be followed, is a reason to skip that method and no other."""
    asked = {**RUN, "noise": ["gaussian:25"], "train_budget": 0.0, "plugins": [str(plugin_file)]}
    planned = phase.train_missing(api.plan(**asked), Listener())
    assert [work.skip for work in planned.works] == ["it has no weights, and the train budget is 0.", ""]
    assert not any(work.training for work in planned.works)

    path = changed(plugin_file, workspace, '"recipes"', '"recipes"')
    recipe = path.parent / "recipes" / "best.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace('"own"', '"elsewhere"'), encoding="utf-8")
    planned = phase.train_missing(api.plan(**{**asked, "train_budget": 0.02, "plugins": [str(path)]}), Listener())
    first, second = (work.skip for work in planned.works)
    assert first.startswith("it has no weights and cannot be trained here: no training data set is named 'elsewhere'")
    assert second == ""


BROKEN = "raise RuntimeError('no loss')"


@pytest.fixture
def broken(plugin_file: Path, workspace: Path) -> Path:
    """The plugin file with a loss that raises."""
    return changed(plugin_file, workspace, "return (network(noisy, std).float() - clean).square().mean()", BROKEN)


def test_a_plugins_error_in_training_skips_its_method_alone(home: Path, broken: Path) -> None:
    """The cells of the method whose loss raises say so, and those of the others are computed."""
    found = api.run(**RUN, plugins=[str(broken)], noise=["gaussian:25"])
    (tiny,) = (row for row in found.rows() if row.method == "tiny")
    why = "it has no weights and cannot be trained here: the loss of this method: RuntimeError: no loss (tiny.py, line"
    assert (tiny.status, tiny.reason[: len(why)]) == ("skipped", why)
    assert found.counts == {"ok": 1, "skipped": 1}


def test_a_plugin_that_is_interrupted_ends_the_run(home: Path, broken: Path) -> None:
    """Ctrl-C a second time is nobody's error, and is passed on."""
    broken.write_text(broken.read_text(encoding="utf-8").replace(BROKEN, "raise KeyboardInterrupt"), encoding="utf-8")
    planned = api.plan(**RUN, plugins=[str(broken)], noise=["gaussian:25"])
    with pytest.raises(KeyboardInterrupt):
        phase.train_missing(planned, Listener())


@pytest.mark.parametrize("budget", [0.0, 0.02])
def test_a_method_is_skipped_only_under_noises_that_it_has_no_weights_for(
    home: Path, broken: Path, budget: float
) -> None:
    """No budget, or a training that fails, leaves alone what a smaller network has weights for."""
    spec = registry.load([broken]).denoisers["tiny"]
    assert spec.trainable is not None
    state, folder = spec.trainable.network(blind=True).state_dict(), home / "weights" / "tiny"
    gaussian, poisson = (
        (NoiseCoverage("gaussian", {"sigma": (0.0, 50.0)}),),
        (NoiseCoverage("poisson", {"peak": (1.0, 60.0)}),),
    )
    whole = weights.save(folder, "whole", state, Card("tiny", blind=True, noise=gaussian))
    other = {key: tensor + 1 for key, tensor in state.items()}
    weights.save(folder, "other", other, Card("tiny", blind=True, noise=poisson))
    lean = Card("tiny", blind=True, noise=gaussian, keep=0.5, pruned_from=whole.sha256)
    weights.save(folder, "lean", state, lean)

    asked = {**RUN, "methods": ["tiny[keep=0.5]"], "train_budget": budget, "plugins": [str(broken)]}
    planned = phase.train_missing(api.plan(**asked, noise=["gaussian:25", "poisson:30"]), Listener())
    has, lacks = planned.works
    assert has.weights is not None
    assert (has.weights.name, has.skip) == ("lean", "")
    assert lacks.skip.startswith("it has no weights")
    assert not lacks.training


def test_what_overlaps_the_folder_under_test_is_left_out(home: Path, plugin_file: Path, known: Registry) -> None:
    """A folder of a person's own is in no registry, and is looked at as test sets are."""
    folder = home.parent / "mine"
    folder.mkdir()
    images.write_png(folder / "photograph.png", known.datasets["own"].load("bike"))
    asked = {**RUN, "dataset": str(folder), "images": [], "noise": ["gaussian:25"], "plugins": [str(plugin_file)]}
    heard = Heard()
    phase.train_missing(api.plan(**asked), heard)
    (made,) = weights.trained("tiny")
    assert made.card.left_out == ("bike", "cat")
    assert "left out of own, because they overlap mine: bike" in heard.said

"""Killed, stopped, continued: a training ends with the weights of one that nothing happened to."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.errors import Interrupted, UsageError
from mdnbench.training import checkpoint, loop
from mdnbench.training.log import TrainingProgress
from mdnbench.util.listener import Listener
from mdnbench.weights import Weights

Fit = Callable[..., Weights]

MASKED: dict[str, Any] = {
    "blind": False, "precision": "bf16", "mask": {"whole_every": 3}, "optimiser": {"kind": "muon", "lr": 1e-3},
}  # fmt: skip
CHILD = """
    import sys
    from mdnbench import registry
    from mdnbench.training import loop, recipe

    plugin, method, steps, changes = sys.argv[1], sys.argv[2], int(sys.argv[3]), eval(sys.argv[4])
    loop.SAVE_EVERY_S = 0.0  # a checkpoint after every step: a kill falls into the writing of one, more likely than not
    loop.REPORT_EVERY_S = 1e9  # at validations alone
    known = registry.load([plugin])
    named, tiny = known.method(method), known.denoisers["tiny"]
    chosen = recipe.override(recipe.named(tiny.trainable.recipes, "best"), changes).within(steps=steps)

    def report(progress):
        print(progress.step, flush=True)
        if progress.step >= steps - 4:
            sys.stdin.read()  # it does not end by itself, however late it is killed

    loop.train(
        known.denoisers[named.name], named, chosen, data=known.datasets["own"], noises=known.noises, threads=1,
        report=report,
    )
"""


@pytest.fixture
def child(plugin_file: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`child(method, changes, steps)` trains in a process of its own that prints the step at every validation."""
    started: list[subprocess.Popen[str]] = []

    def start(method: str, changes: dict[str, Any], steps: int) -> subprocess.Popen[str]:
        arguments = [str(plugin_file), method, str(steps), repr(changes)]
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CHILD), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], step: int) -> None:
    """Wait until a training is that far."""
    assert process.stdout
    for line in process.stdout:
        if int(line) >= step:
            return
    raise AssertionError("the training ended early")


def kill(process: subprocess.Popen[str]) -> None:
    """`kill -9`, and wait until the process is gone."""
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(("method", "changes", "steps"), [
    ("masked-unet", MASKED, 16), pytest.param("tiny", {}, 240, marks=pytest.mark.full),
])  # fmt: skip
def test_fault_02_killed_twice_and_resumed_gives_the_same_bits(
    method: str,
    changes: dict[str, Any],
    steps: int,
    fit: Fit,
    child: Any,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After two kills, with the network's dropout, batch norm, masks and Muon, the weights are those of one go."""
    monkeypatch.setenv("MDNBENCH_HOME", str(workspace / "home"))
    first = child(method, changes, steps)
    read_until(first, 8)  # at least the checkpoint of step 7 is there
    with pytest.raises(UsageError, match="another process is training into"):
        fit(method, changes=changes, steps=steps)
    kill(first)
    if method == "tiny":
        second = child(method, changes, steps)
        read_until(second, 12)
        kill(second)
    reports: list[TrainingProgress] = []
    resumed = fit(method, changes=changes, steps=steps, report=reports.append)
    assert reports[0].step >= 8  # not the validation of step 4, with which a training from scratch begins
    assert not list((workspace / "home" / "training").glob("*/*.part"))

    monkeypatch.setenv("MDNBENCH_HOME", str(workspace / "other"))
    whole = fit(method, changes=changes, steps=steps)
    assert resumed.sha256 == whole.sha256
    assert resumed.card.steps == whole.card.steps == steps


def test_the_log_of_a_resumed_training_has_no_step_twice(fit: Fit, home: Path) -> None:
    """Lines beyond the checkpoint are dropped before they are written again."""
    steps = iter(range(100))
    with pytest.raises(Interrupted):
        fit(steps=12, stop=lambda: next(steps) == 6)
    (path,) = (home / "training").glob("*/log.csv")
    path.write_text(path.read_text() + "8,0.6,1,1,1,1,1,1,1\n9,0.7,1,1", encoding="utf-8")
    fit(steps=12)
    assert re.findall(r"^\d+", path.read_text(), re.MULTILINE) == ["4", "8", "12"]


def test_a_lock_left_behind_stops_nobody(tmp_path: Path) -> None:
    """The lock file of a process that is gone is only a file; one that is held keeps others out, and is let go."""
    (tmp_path / "lock").write_text("999999", encoding="utf-8")
    with loop.locked(tmp_path), pytest.raises(UsageError, match="another process is training"), loop.locked(tmp_path):
        pass
    with loop.locked(tmp_path):
        pass


class Impatient(Listener):
    """Presses Ctrl-C at the first word of progress."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep a note."""
        self.notes.append(text)

    def progress(self, phase: str, done: float, doing: Any = (), detail: str = "") -> None:
        """Press it."""
        if phase.startswith("training"):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows delivers Ctrl-C to whole consoles")
def test_ctrl_c_saves_a_checkpoint_and_the_same_command_goes_on(
    home: Path, plugin_file: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at its first report and started again, a training ends with the bits of one that was left alone."""
    order: dict[str, Any] = {"plugins": [plugin_file], "steps": 10, "threads": 1}
    impatient = Impatient()
    with pytest.raises(Interrupted, match=r"stopped after 4 steps, 40% .*; the same command goes on from there\."):
        api.train("tiny", listener=impatient, **order)
    assert impatient.notes[-1].startswith("Stopping: a checkpoint is saved")
    resumed = api.train("tiny", **order)
    other = workspace / "other"
    shutil.copytree(home / "leaks", other / "leaks")
    monkeypatch.setenv("MDNBENCH_HOME", str(other))
    assert api.train("tiny", **order).sha256 == resumed.sha256


@pytest.mark.skipif(sys.platform == "win32", reason="Windows delivers Ctrl-C to whole consoles")
def test_ctrl_c_on_the_real_command(home: Path, plugin_file: Path) -> None:
    """`mdnbench train` ends with exit code 130, a line that says how to go on, and a checkpoint that has its steps."""
    command = ["train", "tiny", "--plugin", str(plugin_file), "--minutes", "10", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mdnbench", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    pulse = threading.Event()
    while not list((home / "training").glob("*/log.csv")) and process.poll() is None:
        pulse.wait(0.05)
    pulse.wait(0.5)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert output == ""
    assert "Traceback" not in errors
    assert re.search(
        r"^mdnbench: the training was stopped after \d+ steps.* goes on from there\.$", errors, re.MULTILINE
    )
    (path,) = (home / "training").glob("*/checkpoint.pt")
    saved = checkpoint.load(path, "cpu")
    assert saved
    assert saved["step"] > 0
    assert loop.SAVE_EVERY_S > 10, "the checkpoint was not saved by the clock"

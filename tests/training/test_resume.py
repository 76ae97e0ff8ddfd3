"""Killed, stopped, continued: a training ends with the weights of one that nothing happened to."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mdnbench import api, weights
from mdnbench.errors import Interrupted, StoreError, UsageError, WeightsError
from mdnbench.listener import Listener
from mdnbench.training import checkpoint, lock, loop
from mdnbench.training.log import Progress
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
@pytest.mark.parametrize(("method", "changes", "steps"), [("tiny", {}, 240), ("masked-unet", MASKED, 16)])
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
    reports: list[Progress] = []
    resumed = fit(method, changes=changes, steps=steps, report=reports.append)
    assert reports[0].step >= 8  # not the validation of step 4, with which a training from scratch begins
    assert not list((workspace / "home" / "training").glob("*/*.part"))

    monkeypatch.setenv("MDNBENCH_HOME", str(workspace / "other"))
    whole = fit(method, changes=changes, steps=steps)
    assert resumed.sha256 == whole.sha256
    assert resumed.card.steps == whole.card.steps == steps


def test_fault_02_a_partial_file_is_never_used(fit: Fit, home: Path) -> None:
    """What a killed writer leaves is removed; a checkpoint that is cut short, flipped or no checkpoint is refused."""
    whole = fit(steps=6)
    (path,) = (home / "training").glob("*/checkpoint.pt")
    sound = path.read_bytes()
    part = path.with_name("checkpoint.pt.1234.part")
    part.write_bytes(sound[: len(sound) // 2])
    assert fit(steps=6).sha256 == whole.sha256
    assert not part.exists()
    flipped = bytearray(sound)
    flipped[len(sound) // 2] ^= 1  # torch itself would go on with this one, to other weights
    for damaged in (sound[:-100], sound[: len(sound) // 2], sound[:10], b"", b"no checkpoint", bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"checkpoint\.pt is damaged .* --from-scratch"):
            fit(steps=6)
    assert fit(steps=6, resume=False).sha256 == whole.sha256


def test_fault_16_damaged_weights_are_made_again_by_their_command(fit: Fit, home: Path) -> None:
    """What was cut short is refused with the command; that writes the same file without a step, or from the first."""
    made = fit(steps=6, name="mine")
    sound = made.path.read_bytes()
    for resume, steps in ((True, []), (False, [4, 6])):
        made.path.write_bytes(sound[:-100])
        with pytest.raises(
            WeightsError, match="train it again, with the command that made it: `mdnbench train tiny … "
        ):
            weights.load_state(made)
        reports: list[Progress] = []
        fit(steps=6, name="mine", resume=resume, report=reports.append)
        assert [report.step for report in reports] == steps
        assert made.path.read_bytes() == sound
        assert weights.load_state(made)


def test_a_writer_that_fails_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    """Whatever goes wrong while a checkpoint is written, the one before is whole."""
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"step": 1})
    with pytest.raises(Exception, match="pickle"):
        checkpoint.save(path, {"step": threading.Lock()})
    assert checkpoint.load(path, "cpu") == {"step": 1}
    checkpoint.tidy(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_longer_budget_goes_on_from_the_plateau(fit: Fit, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished 'wsd' training continued to twice its budget has the bits of one that had it from the start."""
    changes = {"schedule": {"kind": "wsd", "cooldown": 0.4}}
    short = fit(steps=10, changes=changes)
    reports: list[Progress] = []
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
    steps, reports = iter(range(100)), list[Progress]()
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


def test_a_checkpoint_of_other_images_or_another_network_is_refused(fit: Fit, home: Path) -> None:
    """What has learnt from an image that is left out now is not continued; nor is what does not fit."""
    fit(steps=4)
    with pytest.raises(UsageError, match=r"begun on other images.*--from-scratch"):
        fit(steps=4, exclude=["moon"])
    (path,) = (home / "training").glob("*/checkpoint.pt")
    saved = checkpoint.load(path, "cpu")
    assert saved
    saved["network"]["layers.0.weight"] = torch.zeros(3, 3)
    checkpoint.save(path, saved)
    with pytest.raises(WeightsError, match="not of this network"):
        fit(steps=4)
    assert fit(steps=4, exclude=["moon"], resume=False).card.left_out == ("moon",)


def test_a_checkpoint_of_another_noise_or_device_is_refused(fit: Fit, home: Path) -> None:
    """A noise that has changed since, and a device whose random numbers this one cannot go on with."""
    fit(steps=4)
    (path,) = (home / "training").glob("*/checkpoint.pt")
    saved = checkpoint.load(path, "cpu")
    assert saved
    assert saved["noises"] == "gaussian 1"
    checkpoint.save(path, saved | {"noises": "gaussian 0"})
    with pytest.raises(UsageError, match=r"with the noises gaussian 0, which are gaussian 1 now: .*--from-scratch"):
        fit(steps=4)
    checkpoint.save(path, saved | {"device": "cuda"})
    with pytest.raises(
        UsageError, match=r"begun on cuda, and cannot go on .* on cpu: give --device cuda, or train from"
    ):
        fit(steps=4)
    checkpoint.save(path, saved)
    assert fit(steps=4).card.steps == 4


def test_an_edited_plugin_does_not_go_on_from_what_it_was(
    home: Path, plugin_file: Path, edited: Callable[[str, str], Path]
) -> None:
    """Its checkpoint is refused and can be thrown away; one from before checkpoints said their revision is taken."""
    order: dict[str, Any] = {"steps": 4, "threads": 1}
    first = api.train("tiny", plugins=[plugin_file], **order)
    other = edited(".square().mean()", ".abs().mean()")
    with pytest.raises(UsageError, match=r"with revision 1\+\w+ of the method, which is 1\+\w+ now.*--from-scratch"):
        api.train("tiny", plugins=[other], **order)
    assert weights.load_state(first)
    assert api.train("tiny", plugins=[other], resume=False, **order).sha256 != first.sha256
    (path,) = (home / "training").glob("*/checkpoint.pt")
    saved = checkpoint.load(path, "cpu")
    assert saved
    assert saved.pop("revision")
    checkpoint.save(path, saved)
    assert api.train("tiny", plugins=[plugin_file], **order).card.steps == 4


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 100 kB in here: the system refuses to write on, as on a full disk."""
    resource = pytest.importorskip("resource", reason="this system has no such limits")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize("size", [30_000, 1_000_000])
def test_a_full_disk_leaves_the_old_checkpoint_and_says_what_to_do(size: int, workspace: Path) -> None:
    """Whether torch or the system says so; nothing half written stays behind."""
    path = workspace / "home" / "training" / "one" / "checkpoint.pt"
    checkpoint.save(path, {"step": 1})
    with full_disk(), pytest.raises(StoreError, match=r"cannot be written: .*Make room, or point MDNBENCH_HOME at"):
        checkpoint.save(path, {"step": 2, "weights": torch.zeros(size)})
    assert checkpoint.load(path, "cpu") == {"step": 1}
    assert list(path.parent.iterdir()) == [path]


def test_a_home_that_cannot_be_written(fit: Fit, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused by its path before a step is taken."""
    (workspace / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("MDNBENCH_HOME", str(workspace / "file" / "home"))
    with pytest.raises(StoreError, match=r"file.home.* cannot be written: .*point MDNBENCH_HOME at a folder"):
        fit(steps=1)


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
    with lock.held(tmp_path), pytest.raises(UsageError, match="another process is training"), lock.held(tmp_path):
        pass
    with lock.held(tmp_path):
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

"""Checkpoints and finished weights: damaged ones, unwritable ones, and those of another training."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mdnbench import api, weights
from mdnbench.errors import StoreError, UsageError, WeightsError
from mdnbench.training import checkpoint
from mdnbench.training.log import TrainingProgress
from mdnbench.weights import Weights

Fit = Callable[..., Weights]


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
        reports: list[TrainingProgress] = []
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
    """Its checkpoint is refused and can be thrown away, and so is one that does not tell which code it is of."""
    order: dict[str, Any] = {"steps": 4, "threads": 1}
    first = api.train("tiny", plugins=[plugin_file], **order)
    other = edited(".square().mean()", ".abs().mean()")
    with pytest.raises(UsageError, match=r"with other code: since then, tiny\.py changed.*--from-scratch"):
        api.train("tiny", plugins=[other], **order)
    assert weights.load_state(first)
    assert api.train("tiny", plugins=[other], resume=False, **order).sha256 != first.sha256
    (path,) = (home / "training").glob("*/checkpoint.pt")
    saved = checkpoint.load(path, "cpu")
    assert saved
    assert saved.pop("revision")
    assert saved.pop("code")
    checkpoint.save(path, saved)
    with pytest.raises(UsageError, match=r"lacks revision, code, .*--from-scratch"):
        api.train("tiny", plugins=[plugin_file], **order)


def test_a_module_that_the_loss_imports_counts_as_the_plugin_does(
    home: Path, edited: Callable[[str, str], Path]
) -> None:
    """Also one that is imported inside a function; a comment in it changes nothing."""
    order: dict[str, Any] = {"steps": 4, "threads": 1}
    plugin = edited("return (net", "from .weighting import FACTOR\n    return FACTOR * (net")
    weighting = plugin.with_name("weighting.py")
    weighting.write_text("FACTOR = 1.0\n", encoding="utf-8")
    first = api.train("tiny", plugins=[plugin], **order)
    weighting.write_text("FACTOR = 1.0  # the mean of all\n", encoding="utf-8")
    assert api.train("tiny", plugins=[plugin], **order).sha256 == first.sha256
    weighting.write_text("FACTOR = 2.0\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"with other code: since then, weighting\.py changed"):
        api.train("tiny", plugins=[plugin], **order)


def test_a_file_that_the_method_declares_counts(home: Path, edited: Callable[[str, str], Path]) -> None:
    """As in a run: nothing sees it opened, but the spec names it."""
    order: dict[str, Any] = {"steps": 4, "threads": 1}
    plugin = edited("trainable=trainable)", 'trainable=trainable, files=("table.bin",))')
    plugin.with_name("table.bin").write_bytes(b"one")
    first = api.train("tiny", plugins=[plugin], **order)
    assert api.train("tiny", plugins=[plugin], **order).sha256 == first.sha256
    plugin.with_name("table.bin").write_bytes(b"two")
    with pytest.raises(UsageError, match=r"with other code: since then, table\.bin changed"):
        api.train("tiny", plugins=[plugin], **order)


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 100 kB in here: the system refuses to write on, as on a full disk."""
    resource = pytest.importorskip("resource", reason="this system has no such limits")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    no_bytecode = pytest.MonkeyPatch()  # Python would leave .pyc files that are cut short, here and in child processes
    no_bytecode.setattr(sys, "dont_write_bytecode", True)
    no_bytecode.setenv("PYTHONDONTWRITEBYTECODE", "1")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        no_bytecode.undo()


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

"""Training in two processes that torchrun starts: the curve of one, all stopped together, and exactly resumed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mdnbench import weights
from mdnbench.training import log
from mdnbench.weights import Weights

Fit = Callable[..., Weights]

MASKED: dict[str, Any] = {
    "blind": False, "batch": 4, "mask": {"whole_every": 3}, "optimiser": {"lr": 1e-3}, "schedule": {"kind": "wsd"},
    "validation": {"every": 1, "count": 1},
}  # fmt: skip
STEPS = 5
CURVES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("masked-unet", MASKED),
    ("tiny[dropout=0]", {"batch": 4, "validation": {"every": 1, "count": 1}}),  # it has a batch normalisation
)
CHILD = """
    import os, signal, sys
    import torch
    from mdnbench import errors, registry
    from mdnbench.training import loop, ranks, recipe, rng

    loop.REPORT_EVERY_S = 1e9  # at validations alone
    known, curves = registry.load([sys.argv[1]]), eval(sys.argv[2])
    tiny = recipe.named(known.denoisers["tiny"].trainable.recipes, "best")

    def fit(home, method, changes, steps, report=None):
        os.environ["MDNBENCH_HOME"] = home
        named = known.method(method)
        return loop.train(
            known.denoisers[named.name], named, recipe.override(tiny, changes).within(steps=steps),
            data=known.datasets["own"], noises=known.noises, threads=1, report=report,
        )

    def die(progress):
        if ranks.first() and progress.step >= 8:
            os.kill(os.getpid(), signal.SIGKILL)

    def say(*words):
        if ranks.first():
            print(*words, flush=True)

    with ranks.joined("cpu"):
        if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            loop.SAVE_EVERY_S = 0.0
            fit("killed", "tiny", {}, 16, die)
        resumed = fit("killed", "tiny", {}, 16, lambda progress: say("step", progress.step))
    with ranks.joined("cpu"):
        whole = fit("whole", "tiny", {}, 16)
        for method, changes in curves:
            fit(method.partition("[")[0], method, changes, int(sys.argv[3]))
        try:
            fit("odd", "tiny", {"batch": 3}, 1)
        except errors.UsageError as error:
            say(error)
        rate = 9 * ranks.broadcast(torch.rand(3, 4, 2)).movedim(2, 0)  # (2, 3, 4), and not contiguous
        here, alone = (kind(torch.Generator().manual_seed(3)) for kind in (ranks.SharedRng, rng.TorchRng))
        draws = [torch.equal(here.normal((1, 5)), ranks.share(alone.normal((2, 5)))),
                 torch.equal(here.uniform((1,)), ranks.share(alone.uniform((2,)))),
                 torch.equal(here.poisson(ranks.share(rate)), ranks.share(alone.poisson(rate)))]
        say(ranks.count(), resumed.sha256 == whole.sha256, draws)
"""


@pytest.fixture
def torchrun() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`torchrun("-m", "mdnbench", …)` starts two processes through torch's own launcher."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        process = subprocess.Popen(
            [*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()  # not kill: it has processes of its own to end
            process.communicate(timeout=300)


def curve(home: Path) -> dict[int, float]:
    """The loss at every step of the one training below a home folder."""
    (path,) = (home / "training").glob("*/log.csv")
    return {int(line["step"]): float(line["loss"]) for line in log.read(path)}


def as_options(changes: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """`--set key=value` for every changed key of a recipe."""
    for key, value in changes.items():
        if isinstance(value, dict):
            yield from as_options(value, f"{prefix}{key}.")
        else:
            yield from ("--set", f"{prefix}{key}={str(value).lower() if isinstance(value, bool) else value}")


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="Windows delivers Ctrl-C to whole consoles")
def test_two_processes_train_as_one_and_stop_together(
    home: Path, workspace: Path, plugin_file: Path, torchrun: Any, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by Ctrl-C and started again, the command has the loss curve of one process, and speaks with one voice."""
    recipe = plugin_file.parent / "recipes" / "best.toml"
    command = ["-m", "mdnbench", "train", "masked-unet", "--recipe", recipe, "--plugin", plugin_file, "--name", "two",
               "--threads", 1, *as_options(MASKED)]  # fmt: skip
    process, pulse = torchrun(*command, "--minutes", 10), threading.Event()
    while not any(len(log.read(path)) for path in (home / "training").glob("*/log.csv")) and process.poll() is None:
        pulse.wait(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    (stopped,) = re.findall(r"the training was stopped after (\d+) steps", errors)
    assert errors.count("left out of own") == errors.count("Stopping:") == 1
    budget = 2 * int(stopped) + 4  # before whose falling rate it was stopped

    output, errors = torchrun(*command, "--steps", budget).communicate(timeout=300)
    assert output.splitlines()[1].startswith(f"{budget} steps in 0."), errors
    made = home / "weights" / "masked-unet" / "two.safetensors"
    assert output.splitlines()[0] == str(made)
    assert len(output.splitlines()) == 2
    assert weights.read(made.with_suffix(".toml")).card.device == "2 × cpu"
    assert not [*(home / "training").glob("*/*.part")]

    monkeypatch.setenv("MDNBENCH_HOME", str(workspace / "other"))
    fit("masked-unet", changes=MASKED, steps=budget, exclude=["cat"])
    assert curve(home) == pytest.approx(curve(workspace / "other"), rel=1e-4)


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_fault_02_one_of_two_processes_killed(
    workspace: Path, no_data: None, plugin_file: Path, torchrun: Any, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started again, two processes end with the bits of two that nobody killed; their loss curves are those of one."""
    child = workspace / "child.py"
    child.write_text(textwrap.dedent(CHILD), encoding="utf-8")
    output, errors = torchrun("--max-restarts", 1, child, plugin_file, repr(CURVES), STEPS).communicate(timeout=300)
    *steps, refused, same = output.splitlines()
    assert (steps, same) == (["step 8", "step 12", "step 16"], "2 True [True, True, True]"), errors
    assert refused.startswith("a batch of 3 crops cannot be shared equally by 2 processes;")
    for method, changes in CURVES:
        name = method.partition("[")[0]
        monkeypatch.setenv("MDNBENCH_HOME", str(workspace / "one" / name))
        fit(method, changes=changes, steps=STEPS)
        assert curve(workspace / name) == pytest.approx(curve(workspace / "one" / name), rel=1e-4)
        assert len(curve(workspace / name)) == STEPS

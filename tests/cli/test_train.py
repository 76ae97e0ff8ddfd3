"""`mdnbench train` and `mdnbench weights` as a person types them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mdnbench import registry, weights
from mdnbench.util import paths

Cli = Callable[..., subprocess.CompletedProcess[str]]
Mdnbench = Callable[..., Any]


def test_three_steps(cli: Cli, moons: Path, workspace: Path, no_data: None) -> None:
    """A few steps of a shipped recipe, changed from the command line: weights, a log, one line that sums up."""
    ran = cli(
        "train", "dncnn", "--steps", 3, "--threads", 1, "--name", "moonlit", "--plugin", moons, "--set", "data=moons",
        "--set", "crop=16", "--set", "batch=2", "--set", "validation.count=1", "--set", "optimiser.kind=adamw",
        "--set", "validation.crop=16",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    made = workspace / "home" / "weights" / "dncnn" / "moonlit.safetensors"
    first, second = ran.stdout.splitlines()
    assert first == str(made)
    assert second.startswith("3 steps in 0.")
    assert " dB" in second
    card = weights.read(made.with_suffix(".toml")).card
    assert (card.steps, card.recipe["crop"], card.recipe["optimiser"]["kind"]) == (3, 16, "adamw")
    assert {each.name for each in (workspace / "home" / "training").glob("dncnn-*/*")} >= {"checkpoint.pt", "log.csv"}
    listed = cli("weights", "list", "dncnn")
    assert "moonlit" in listed.stdout


def test_mistakes(cli: Cli, plugin: Callable[..., Path], no_data: None) -> None:
    """Two budgets, or a key that does not exist: one line, exit code 2, nothing trained."""
    for wrong, words in (
        (["--steps", 3, "--minutes", 1], "one of minutes, steps and epochs"),
        (["--set", "optimizer.lr=1"], "Did you mean 'optimiser'?"),
    ):
        ran = cli("train", "unet", *wrong)
        assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
        assert ran.stderr.startswith("mdnbench: ")
        assert words in ran.stderr


def test_shipped_weights_are_copied_under_another_name(mdnbench: Mdnbench) -> None:
    """`--rename` and `--half` make what a plugin ships: half the size of what was trained, and a card of its own."""
    shipped = weights.find(registry.load().denoisers["dncnn"], "gaussian")
    trained = weights.save(paths.home() / "weights" / "dncnn", "own", weights.load_state(shipped), shipped.card)
    half = Path(mdnbench("weights", "export", "dncnn", "own", "out", "--rename", "small", "--half").out.strip())
    full = Path(mdnbench("weights", "export", "dncnn", "own", "out").out.strip())
    assert (half.name, full.name) == ("small.safetensors", "own.safetensors")
    assert full.read_bytes() == trained.path.read_bytes()
    assert 1.9 < full.stat().st_size / half.stat().st_size < 2.1
    assert half.with_suffix(".toml").is_file()

"""Requests: plan files, the command line beside them, and the limits of each key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mdnbench.errors import BadFile, BadOption, UnknownName
from mdnbench.planning import request
from mdnbench.planning.request import Request


def plan(folder: Path, text: str) -> Path:
    """A plan file with this text."""
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plan_file_and_keywords_mean_the_same(tmp_path: Path) -> None:
    """The same keys in a file and in Python make equal requests; a lone value stands for a list."""
    path = plan(tmp_path, 'methods = "noisy"\nsigma = [15, 25]\ndataset = "sk12"\nseeds = 2\ntimeout = 60\n')
    asked = request.from_values(
        {"methods": ["noisy"], "sigma": (15, 25), "dataset": "sk12", "seeds": 2, "timeout": 60.0}, "here"
    )
    assert request.read(path, {}) == asked
    assert asked.noises() == ("gaussian:sigma=15.0", "gaussian:sigma=25.0")


def test_the_command_line_wins(tmp_path: Path) -> None:
    """What is said beside a plan file replaces it key by key."""
    path = plan(tmp_path, 'methods = ["noisy"]\nseeds = 2\nprotocol = "float"\n')
    asked = request.read(path, {"seeds": 5, "methods": ["median"]})
    assert (asked.seeds, asked.methods, asked.protocol) == (5, ("median",), "float")


@pytest.mark.parametrize("said", [{"sigma": [50.0]}, {"noise": ["poisson:30"]}])
def test_noises_said_beside_a_file_replace_the_files_noises(tmp_path: Path, said: dict[str, Any]) -> None:
    """`--sigma` beside a file that has `noise` (or the other way) leaves only what was said."""
    for text in ('noise = ["speckle:20"]\n', "sigma = [15]\n"):
        asked = request.read(plan(tmp_path, text), said)
        assert (asked.sigma, asked.noise) == (tuple(said.get("sigma", ())), tuple(said.get("noise", ())))


def test_an_unknown_key_names_the_file_and_the_likeliest_key(tmp_path: Path) -> None:
    """A misspelt key of a plan file is refused before anything is done."""
    path = plan(tmp_path, "sigmas = [15]\n")
    with pytest.raises(UnknownName, match=r"plan\.toml is named 'sigmas'\. Did you mean 'sigma'\?"):
        request.read(path, {})


@pytest.mark.parametrize("key", ["no_timing", "json", "plan_file"])
def test_command_line_words_are_no_keys_of_a_file(tmp_path: Path, key: str) -> None:
    """A plan file has the request's keys and no others."""
    with pytest.raises(UnknownName):
        request.read(plan(tmp_path, f"{key} = true\n"), {})


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("seeds", 0, "seeds = 0 is not allowed"),
        ("seeds", -1, "from 1 to 10000"),
        ("jobs", -1, "jobs"),
        ("timeout", 0.0, "timeout"),
        ("timeout", float("nan"), "timeout"),
        ("timeout", float("inf"), "timeout"),
        ("memory", -0.5, "memory"),
        ("train_budget", -1.0, "train_budget"),
    ],
)
def test_numbers_have_limits(key: str, value: float, says: str) -> None:
    """Each number is held to its range, NaN and infinity included."""
    with pytest.raises(BadOption, match=says):
        request.from_values({key: value}, "here")


@pytest.mark.parametrize(
    ("key", "value"),
    [("seeds", 1.5), ("fresh", 1), ("methods", [1]), ("sigma", ["a"]), ("noise_info", "guessed"), ("keep_images", "")],
)
def test_wrong_types_are_refused(key: str, value: object) -> None:
    """A key of the wrong kind is a BadFile that names it."""
    with pytest.raises(BadFile, match=key):
        request.from_values({key: value}, "here")


def test_sigma_stands_beside_gaussian_noises_only() -> None:
    """`sigma` with a noise that has no sigma, or another one, is refused with what to write instead."""
    assert Request(sigma=(25.0,), noise=("gaussian:10",)).noises() == ("gaussian:10", "gaussian:sigma=25.0")
    for noise in ("poisson:30", "speckle:25"):
        with pytest.raises(BadOption, match=f"--noise gaussian:25 --noise {noise}"):
            Request(sigma=(25.0,), noise=(noise,))


def test_changed_keys_are_what_was_said() -> None:
    """The keys that differ from the defaults make the same request again."""
    asked = request.from_values({"sigma": 50, "seeds": 3}, "here")
    assert request.changed(asked) == {"sigma": (50.0,), "seeds": 3}
    assert request.from_values(request.changed(asked), "here") == asked

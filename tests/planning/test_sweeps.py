"""Sweeps: tables of options with several values, in plan files and in Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.errors import BadFile, BadOption, UnknownName
from mdnbench.planning import request, sweeps

PLAN = """
noise = ["gaussian:25"]
dataset = "sk12"
images = ["01"]
metrics = ["psnr"]

[methods.median]

[methods.nlm]
patch = [3, 5, 7]
h = [0.5, 0.6]

[methods.bm3d]
profile = ["np", "lc"]
stabilise = false
"""


def test_every_combination_is_a_method_of_its_own(tmp_path: Path) -> None:
    """Under a method's table each option has one value or several; the plan has all combinations, named canonically."""
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    planned = api.plan(request.read(path, {}))
    assert [method.text for method in planned.methods] == [
        "median",
        "nlm[patch=3,h=0.5]",
        "nlm[patch=3]",
        "nlm[patch=5,h=0.5]",
        "nlm[patch=5]",
        "nlm[h=0.5]",
        "nlm",
        "bm3d[stabilise=false]",
        "bm3d[profile=lc,stabilise=false]",
    ]


def test_noises_are_swept_in_the_same_way() -> None:
    """A noise's parameters may be lists too."""
    asked = request.from_values(
        {"noise": {"mixed": {"sigma": [10, 25], "peak": [30.0, 60]}, "gaussian": {"sigma": 5}}}, "here"
    )
    assert asked.noise == (
        "mixed:sigma=10,peak=30", "mixed:sigma=10,peak=60", "mixed:sigma=25,peak=30", "mixed:sigma=25,peak=60",
        "gaussian:sigma=5",
    )  # fmt: skip


def test_all_may_stand_in_a_table() -> None:
    """`all` beside others, as in a list."""
    planned = api.plan(
        methods={"median": {"size": [3, 7]}, "all": {}}, sigma=50, dataset="sk12", images="01", metrics="psnr"
    )
    texts = [method.text for method in planned.methods]
    assert texts[:2] == ["median[size=3]", "median[size=7]"]
    assert {"median", "noisy", "bm3d"} <= set(texts)


def test_the_command_line_replaces_a_files_table(tmp_path: Path) -> None:
    """`--methods` and `--sigma` win over tables as they win over lists."""
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.replace('noise = ["gaussian:25"]', "") + "[noise.poisson]\npeak = [10, 30]\n")
    asked = request.read(path, {"methods": ["noisy"], "sigma": [50.0]})
    assert (asked.methods, asked.noises()) == (("noisy",), ("gaussian:sigma=50.0",))


@pytest.mark.parametrize(
    ("table", "error", "says"),
    [
        (
            {"bm3d": {"profil": ["np"]}},
            UnknownName,
            r"no option of method 'bm3d' is named 'profil'\. Did you mean 'profile'\?",
        ),
        ({"bm3d": {"profile": ["np", "hihg"]}}, BadOption, r"profile takes one of np, lc, .*\. Did you mean 'high'\?"),
        ({"bm33d": {}}, UnknownName, r"Did you mean 'bm3d'\?"),
        ({"nlm": {"h": [0.5, 99]}}, BadOption, r"h=99 is not allowed; h takes a number from 0\.01 to 10"),
        ({"nlm": {"patch": []}}, BadFile, r"methods\.nlm\.patch is an empty list"),
        ({"nlm": 3}, BadFile, r"methods\.nlm = 3 must be a table of options"),
        ({"nlm": {"patch": {"a": 1}}}, BadFile, r"methods\.nlm\.patch = \{'a': 1\} must be a number"),
        ({"nlm": {"h": float("nan")}}, BadFile, r"methods\.nlm\.h = nan must be a number"),
        ({"bm3d": {"profile": "np],median[size=3"}}, BadFile, "must be a number, true or false, or a text without"),
    ],
)
def test_mistakes_are_named(table: dict[str, Any], error: type[Exception], says: str) -> None:
    """A misspelt method, option or choice is guessed; a value out of range, and what is no value, is refused."""
    with pytest.raises(error, match=says):
        api.plan(methods=table, sigma=50, dataset="sk12", images="01", metrics="psnr")


def test_only_methods_and_noises_are_swept() -> None:
    """A table under another key is a mistake, as it always was."""
    assert sweeps.KEYS == ("methods", "noise")
    with pytest.raises(BadFile, match="metrics"):
        request.from_values({"metrics": {"psnr": {}}}, "here")


def test_a_plan_file_with_a_grid_is_planned_by_the_command_line(cli: Callable[..., Any], tmp_path: Path) -> None:
    """`mdnbench plan` shows every combination."""
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    done = cli("plan", path, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["methods"]) == 9

"""A repository with a plugin file, processes in which a `Usage` begins, and a method to try."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench.registry import discovery, trial, trial_cache

METHOD = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    build = lambda options, device, weights: lambda noisy, noise: noisy.clone()
    by = mdnbench.Option("by", float, 0.5, "how much", minimum=0, maximum=1)
    kind = mdnbench.Option("kind", str, "a", choices=("a", "b"))
    about = {"licence": "MIT", "citation": "me", "published_as": "Own", "stabilise": False}
    return [mdnbench.DenoiserSpec("own", "7", "x", build, (by, kind), "std", (1, 3), ("numpy",), **about)]
"""
FRAME = """
import importlib, importlib.util, json, os, sys, subprocess, time
from pathlib import Path
from mdnbench.registry.file_usage import Usage
usage = Usage(Path("repo"), {packages}, [Path("data").resolve()])
def load(path="repo/plugin.py", name="plugin"):
    spec = importlib.util.spec_from_file_location(name, Path(path).resolve())
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
def seen(root=None):
    found = {{}}
    for file in usage.files():
        if root in (None, file.root):
            found[file.root + " " + file.name] = file.content
    return found
{before}
usage.begin()
{during}
"""


@pytest.fixture
def repo(workspace: Path) -> Path:
    """A repository with a plugin file, and a folder of data next to it."""
    folder = workspace / "repo"
    folder.mkdir()
    (workspace / "data").mkdir()
    (folder / "pyproject.toml").write_text("", encoding="utf-8")
    return folder


@pytest.fixture
def write() -> Callable[..., Path]:
    """Write a file, its folders too."""
    return _write


def _write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


@pytest.fixture
def tell() -> Callable[..., Any]:
    """What a process prints in which a `Usage` begins between the two texts; files are older than it is."""
    return _tell


def _tell(during: str, *, before: str = "", packages: tuple[str, ...] = (), **surroundings: str) -> Any:
    text = FRAME.format(before=textwrap.dedent(before), during=textwrap.dedent(during), packages=packages)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **surroundings}
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def method() -> str:
    """The text of a plugin with one method, `own`, which declares all that a method can."""
    return METHOD


@pytest.fixture
def tried() -> Callable[[Path], trial_cache.TrialResult]:
    """`tried(path)` is what a trial finds of a plugin file."""
    return _tried


def _tried(path: Path) -> trial_cache.TrialResult:
    source = discovery.all_of([path])[-1]
    return trial.results([source])[source]

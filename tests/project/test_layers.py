"""The layers: imports run downwards only, nothing heavy is imported for nothing, and any plugin can be taken away."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import mdnbench

ROOT = Path(mdnbench.__file__).parent
PLUGINS = Path(__file__).resolve().parents[2] / "plugins"

# From the top down. A module imports from layers below its own, or from its own where that makes no circle. A new
# module finds its place here.
LAYERS: dict[str, str] = {
    "command line": "__main__ cli",
    "what a notebook imports": "api testing",
    "judging": "analysis",
    "doing": "timing engine",
    "training": "training",
    "planning": "planning wrappers weights results store",
    "looking up": "registry evaluation data",
    "contract with plugins": "spec",
    "ground": "util errors",
}
# What plugins may use beside the names in `mdnbench` itself: the lower layers, and these.
OPEN_TO_PLUGINS = {
    "mdnbench.analysis.published", "mdnbench.analysis.statistics", "mdnbench.timing.quality",
    "mdnbench.timing.summary", "mdnbench.training.ranks", "mdnbench.training.recipe",
}  # fmt: skip
# What the shortest commands do not need; importing it would take a noticeable part of their time.
NOT_FOR_HELP = {"pluggy", "rich", "sqlite3", "msgspec", "mdnbench.registry"}
NOT_FOR_A_LIST = {
    "numpy", "psutil", "sqlite3", "importlib.metadata", "logging", "multiprocessing", "rich.progress",
    "mdnbench.store.database", "mdnbench.results.run", "mdnbench.results.tables", "mdnbench.spec.timings",
    "mdnbench.weights.available", "mdnbench.planning",
}  # fmt: skip
NOT_FOR_A_CACHED_RUN = {
    "psutil", "multiprocessing", "rich.progress", "asyncio", "mdnbench.engine.launcher",
    "mdnbench.analysis.regression", "mdnbench.cli.run_document",
}  # fmt: skip
LOWER = ("planning", "looking up", "contract with plugins", "ground")
HEAVY = (
    "torch",
    "torchvision",
    "pandas",
    "bm3d",
    "lpips",
    "skimage",
    "scipy",
    "PIL.Image",
    "distributed",
)


@cache
def modules() -> dict[str, Path]:
    """Every module of the core, by name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(path: Path, *, heard: tuple[str, ...] = ("mdnbench",)) -> Iterator[str]:
    """What a file imports of these packages: at its top, inside functions, or for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            module = node.module or ""
            for alias in node.names:
                full = f"{module}.{alias.name}"
                found = full if full in modules() else module
                if found.partition(".")[0] in heard:
                    yield found
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in heard)


@cache
def graph() -> dict[str, set[str]]:
    """What each module of the core imports of the core; the package itself counts for nothing."""
    return {name: set(imports(path)) - {name, "mdnbench"} for name, path in modules().items() if name != "mdnbench"}


def layer(module: str) -> int:
    """The number of a module's layer, 0 at the top."""
    top = module.split(".")[1]
    for number, names in enumerate(LAYERS.values()):
        if top in names.split():
            return number
    raise AssertionError(f"{module} is in no layer: give it a place in LAYERS.")


def test_every_module_has_its_place_once() -> None:
    """The list above names each module of the core, and nothing that is not there."""
    listed = [name for names in LAYERS.values() for name in names.split()]
    assert len(listed) == len(set(listed))
    there = {name.split(".")[1] for name in modules() if name != "mdnbench"}
    assert set(listed) == there, (
        f"LAYERS in this file: add {sorted(there - set(listed))} to a layer, remove {sorted(set(listed) - there)}; "
        "docs/design.md shows the same layers"
    )


def test_imports_run_downwards() -> None:
    """No module imports from a layer above its own."""
    upwards = [
        f"{name} imports {other}" for name, found in graph().items() for other in found if layer(other) < layer(name)
    ]
    assert upwards == [], "move what both need into the lower layer, or pass it as an argument"


def test_there_are_no_circles() -> None:
    """Inside a layer too, imports have a direction: whoever is imported does not import back, however far around."""

    def below(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " imports ".join([*path, name])
        if name not in seen:
            for other in graph().get(name, ()):
                below(other, (*path, name))
            seen.add(name)

    seen: set[str] = set()
    for name in graph():
        below(name, ())


def test_the_core_imports_no_plugin() -> None:
    """Plugins come through their entry points and never by name."""
    packages = tuple(path.name for path in PLUGINS.glob("mdnbench_*"))
    assert len(packages) >= 8
    named = {str(path): list(imports(path, heard=packages)) for path in modules().values()}
    assert {path: found for path, found in named.items() if found} == {}


def test_plugins_import_what_is_open_to_them() -> None:
    """A plugin uses the package, the lower layers and a few more; not the engine, and not another plugin."""
    allowed = {name for title in LOWER for name in LAYERS[title].split()}
    packages = tuple(path.name for path in PLUGINS.glob("mdnbench_*"))
    for path in PLUGINS.rglob("*.py"):
        mine = path.relative_to(PLUGINS).parts[0]
        for found in imports(path, heard=("mdnbench", *packages)):
            if found.partition(".")[0] in packages:
                assert found.partition(".")[0] == mine, f"{path} imports {found}"
            elif found not in OPEN_TO_PLUGINS and found not in ("mdnbench", "mdnbench.timing"):
                assert found.split(".")[1] in allowed, f"{path} imports {found}"


def test_no_submodule_bears_the_name_of_something_the_package_offers() -> None:
    """`mdnbench.check` is a function, whatever was imported before: no module could take its place."""
    for name in mdnbench.__all__:
        assert importlib.util.find_spec(f"mdnbench.{name}") is None, name


def imported(*arguments: str, cwd: Path | None = None) -> set[str]:
    """The modules that a Python command imports, top-level packages and two-part names."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE))


def test_importing_the_package_imports_nothing() -> None:
    """`import mdnbench` is free: not even NumPy comes with it."""
    found = imported("-c", "import mdnbench")
    assert "mdnbench" in found
    assert not found & {*HEAVY, "numpy", "typer", "rich", "sqlite3", "pluggy"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["list"], ["describe", "median"], ["list", "runs"]]
)
def test_help_and_lists_import_nothing_heavy(arguments: list[str]) -> None:
    """Plugins describe themselves without importing what they compute with."""
    found = imported("-m", "mdnbench", *arguments)
    assert "mdnbench.cli.app" in found
    assert not found & set(HEAVY)
    if "--help" in arguments[:1]:
        assert not found & NOT_FOR_HELP
    if arguments == ["list"]:
        assert not found & NOT_FOR_A_LIST


def test_a_cached_run_and_a_plan_import_nothing_heavy(finished: Any, tmp_path: Path) -> None:
    """When nothing is computed, neither torch nor any other heavy package is imported."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.store.path.parents[1], folder)
    same = [
        "--methods", "noisy,median", "--noise", "gaussian:50", "--noise", "gaussian:25", "--dataset", "sk12",
        "--images", "01,02", "--metrics", "psnr,ssim", "--out", "done",
    ]  # fmt: skip
    heavy = set(HEAVY) - {"PIL.Image"}  # sk12 is read from its files
    run = ["run", *same, "--no-timing"]
    for command in (run, [*run, "--engine", "dask"], ["plan", *same], ["report", "done", "--to", "md,csv,json"]):
        found = imported("-m", "mdnbench", *command, cwd=folder)
        assert "mdnbench.planning" in found or command[0] == "report"
        assert not found & heavy, found & heavy
        if command == run:
            assert not found & NOT_FOR_A_CACHED_RUN, found & NOT_FOR_A_CACHED_RUN


@pytest.mark.parametrize(("arguments", "limit_s"), [(["--help"], 0.3), (["list"], 1.0)])
def test_starting_is_quick(arguments: list[str], limit_s: float) -> None:
    """Help and list need little processor time, whatever else the machine is busy with: the best of three."""
    script = (
        "import os, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'mdnbench', *sys.argv[1:]], stdout=subprocess.DEVNULL, check=True)\n"
        "used = os.times()\n"
        "print(used.children_user + used.children_system)\n"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(seconds) < limit_s


BLOCKER = """
import dataclasses, importlib.abc, json, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == blocked:
            raise ModuleNotFoundError(f"No module named {blocked!r}", name=blocked)

blocked = ""
sys.meta_path.insert(0, Blocker())
from mdnbench import registry
from mdnbench.api import catalogue
from mdnbench.cli import app
found = {}
for blocked in ["", *sys.argv[1:]]:
    for name in [name for name in sys.modules if name.startswith("mdnbench_")]:
        del sys.modules[name]
    found[blocked] = dataclasses.asdict(catalogue.listing("all", []))
print(json.dumps(found))
"""


def test_any_plugin_can_be_taken_away() -> None:
    """Without any one plugin package the core imports and lists the others, and says which one is broken."""
    packages = sorted(path.name for path in PLUGINS.glob("mdnbench_*"))
    done = subprocess.run([sys.executable, "-c", BLOCKER, *packages], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    whole = names(found.pop(""))
    assert set(found) == set(packages)
    lost = set()
    for package, listing in found.items():
        (broken,) = listing.pop("broken")
        assert broken["name"].startswith(f"{package} (mdnbench ")
        assert f"No module named '{package}'" in broken["summary"]
        assert names(listing) < whole, f"{package} brought nothing"
        lost |= whole - names(listing)
    assert {name for name in whole if name[0] != "protocols"} == lost


def names(listing: dict[str, Any]) -> set[tuple[str, str]]:
    """All names of a listing with their kinds."""
    return {(kind, each["name"]) for kind, rows in listing.items() for each in rows or ()}


def test_without_a_plugin_the_rest_works(tmp_path: Path, cli: Callable[..., Any]) -> None:
    """Where bm3d is not installed, everything else runs: here, a plan of all methods without it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mdnbench_bm3d.py").write_text("raise ImportError('no bm3d here')\n")
    site = os.fspath(tmp_path / "site")
    done = cli("plan", "--sigma", 50, "--dataset", "sk12", "--metrics", "psnr", "--json", PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    methods = {each["method"] for each in found["methods"]}
    assert "median" in methods
    assert not any(method.startswith("bm3d") for method in methods)
    assert any("no bm3d here" in note for note in found["notes"])

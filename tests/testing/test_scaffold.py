"""New plugins: what the templates make is installed, listed, tested, linted and typed as anybody's would be."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mdnbench
from mdnbench import api
from mdnbench.errors import BadOption, BadPlugin, UnknownName, UsageError
from mdnbench.testing import scaffold

LISTED = {"denoiser": "methods", "learned": "methods", "noise": "noises", "metric": "metrics", "dataset": "datasets"}
LINT = ["--isolated", "--select", "E,F,I,UP,B,SIM,D1", "--ignore", "D102,D105,D107"]
CORE = Path(mdnbench.__file__).parents[1]


def own(*arguments: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder, as a person would give it; it must end well."""
    environment = {**os.environ, **variables}
    done = subprocess.run(
        list(map(str, arguments)), cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=1200
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def tool(module: str, *arguments: object, cwd: Path, **variables: str) -> str:
    """What a Python tool prints."""
    return own(sys.executable, "-m", module, *arguments, cwd=cwd, **variables).stdout


@pytest.mark.parametrize("kind", scaffold.KINDS)
def test_a_file_is_linted_and_listed(kind: str, tmp_path: Path, cli: Callable[..., Any]) -> None:
    """The file and its test satisfy ruff as they are, and `mdnbench list` shows what the file brings."""
    paths = api.new_plugin("my-own.thing", kind, folder=tmp_path)
    assert [path.name for path in paths[:2]] == ["my_own_thing.py", "test_my_own_thing.py"]
    tool("ruff", "check", *LINT, ".", cwd=tmp_path)
    tool("ruff", "format", "--isolated", "--check", ".", cwd=tmp_path)
    group = LISTED.get(kind, "reporters")
    found = json.loads(cli("list", group, "--plugin", paths[0], "--json").stdout)
    assert "my-own.thing" in {each["name"] for each in found[group]}


def test_the_longest_name_makes_no_line_too_long(tmp_path: Path) -> None:
    """Packages and files of every kind stay formatted whatever the name."""
    for kind in scaffold.KINDS:
        name = f"{kind}-{'x' * scaffold.MAX_MODULE_NAME_CHARACTERS}"[: scaffold.MAX_MODULE_NAME_CHARACTERS]
        api.new_plugin(name, kind, folder=tmp_path / "files")
        api.new_plugin(name, kind, package=True, folder=tmp_path / "packages")
    tool("ruff", "check", *LINT, ".", cwd=tmp_path / "files")
    tool("ruff", "check", ".", cwd=tmp_path / "packages")
    tool("ruff", "format", "--check", ".", cwd=tmp_path)


@pytest.mark.full
def test_the_tests_of_all_files_pass(tmp_path: Path) -> None:
    """What each is for is tested beside it; the rules are looked at elsewhere, for all at once."""
    for kind in scaffold.KINDS:
        api.new_plugin(f"own-{kind}", kind, folder=tmp_path)
    printed = tool("pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-k", "not conformance", cwd=tmp_path)
    assert re.search(rf"^{len(scaffold.KINDS)} passed, \d+ deselected", printed, re.MULTILINE), printed


def test_a_file_answers_for_itself_in_its_own_tests(tmp_path: Path) -> None:
    """One line makes a test of every rule, and a plugin that was spoilt fails the one that it breaks."""
    paths = api.new_plugin("own", "metric", folder=tmp_path)
    paths[0].write_text(paths[0].read_text("utf-8").replace('direction="lower"', 'direction="higher"'), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=540)
    assert done.returncode == 1
    assert re.search(r"^FAILED test_own.py::test_conformance\[own-metric-direction\]", done.stdout, re.MULTILINE)
    assert "declare the other `direction`" in done.stdout
    assert "1 failed" in done.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """`installed(kind)` writes a package and installs it with pip in a fresh environment; its folder and programs.

    The environment borrows what is installed here, so that neither network nor minutes are needed.
    """

    def install(kind: str) -> tuple[Path, Path]:
        name = f"own-{kind}"
        api.new_plugin(name, kind, package=True, folder=tmp_path)
        root, venv = tmp_path / f"mdnbench-{name}", tmp_path / "venv"
        own(sys.executable, "-m", "venv", "--without-pip", venv, cwd=tmp_path)
        programs = venv / ("Scripts" if os.name == "nt" else "bin")
        (site,) = own(
            programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path
        ).stdout.split()
        borrowed = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        Path(site, "borrowed.pth").write_text(borrowed, encoding="utf-8")
        offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "-q"]
        tool("pip", "--python", programs / "python", "install", *offline, root, cwd=tmp_path)
        return root, programs / "python"

    return install


def test_a_package_is_installed_and_listed_and_passes_its_tests(installed: Callable[[str], tuple[Path, Path]]) -> None:
    """Pip installs it, its entry point brings it into the list, and its own tests pass, every rule among them."""
    root, python = installed("metric")
    assert "own-metric" in own(python, "-m", "mdnbench", "list", "metrics", cwd=root).stdout
    printed = own(python, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", cwd=root).stdout
    assert re.search(r"^8 passed", printed, re.MULTILINE), printed


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", scaffold.KINDS)
def test_the_workflow_of_a_package_passes(
    kind: str, installed: Callable[[str], tuple[Path, Path]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every step of its workflow ends well where the package is installed, once its README's baseline is written."""
    root, python = installed(kind)
    for name in ("mypy", "pytest", "mdnbench"):  # these must run where the package is installed
        program = python.parent / name
        program.write_text(f'#!/bin/sh\nexec {python} -m {name} "$@"\n', "utf-8")
        program.chmod(0o755)
    variables = {
        "PATH": os.pathsep.join([str(python.parent), sysconfig.get_path("scripts"), os.environ["PATH"]]),
        "MYPYPATH": str(CORE),  # an editable install is out of mypy's sight
        "MYPY_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "mypy"),  # what NumPy and torch declare is read once
    }
    workflow = (root / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    steps = dict(re.findall(r"- name: (.+)\n(?:        if: .+\n)?        run: (.+)\n", workflow))
    assert list(steps) == ["Install", "Lint", "Types", "Tests", "Conformance", "Run", "Regression check"]
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert steps["Run"] in readme
    (update,) = re.findall(r"^mdnbench check .*--update$", readme, re.MULTILINE)
    steps["Types"] += " --follow-imports=silent"  # of mdnbench itself, which has its own settings
    order = ["Lint", "Types", "Tests", "Conformance", "Run"]
    for command in [*(steps[name] for name in order), update, steps["Regression check"]]:
        if kind == "learned" and command == update:
            break  # there is nothing to train it with, so that there is nothing to compare
        own("bash", "-euo", "pipefail", "-c", command, cwd=root, **variables)


@pytest.mark.full
def test_files_satisfy_mypy(tmp_path: Path) -> None:
    """Every kind and its test, strictly."""
    for kind in scaffold.KINDS:
        api.new_plugin(f"own-{kind}", kind, folder=tmp_path)
    tool("mypy", "--strict", "--follow-imports=silent", ".", cwd=tmp_path, MYPYPATH=str(CORE))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A second plugin of one name is refused, and the first is left as it is."""
    path = api.new_plugin("own", "metric", folder=tmp_path)[0]
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="exists already"):
        api.new_plugin("own", "noise", folder=tmp_path)
    assert path.read_text(encoding="utf-8") == "mine"


def test_names_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """Names of others, of Python, and such that nobody could write; nothing is written for any of them."""
    refused = {
        "median": (UsageError, "taken by a method"),
        "gaussian": (UsageError, "taken by a noise"),
        "class": (BadOption, "no word of Python"),
        "3d": (BadOption, "begin with a letter"),
        "x" * 33: (BadOption, "at most 32"),
        "Mine": (BadPlugin, "lower-case"),
        "../mine": (BadPlugin, "lower-case"),
        "all": (BadPlugin, "not 'all'"),
    }
    for name, (error, said) in refused.items():
        with pytest.raises(error, match=said):
            api.new_plugin(name, "denoiser", folder=tmp_path)
    with pytest.raises(UnknownName, match="Did you mean 'denoiser'"):
        api.new_plugin("mine", "denoise", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []

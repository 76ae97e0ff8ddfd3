"""Places: a plugin's repository, and which files are the standard library's, installed, our own or other ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import pytest

import mdnbench
from mdnbench.registry import file_origin
from mdnbench.registry.file_origin import CORE, kind_of, own_package, root_of


@pytest.mark.parametrize("mark", [".git", "pyproject.toml", "setup.py"])
def test_the_root_is_the_nearest_repository(workspace: Path, mark: str) -> None:
    """Also for a file deep inside; without one it is the file's folder."""
    file = workspace / "outer/inner/deep/plugin.py"
    file.parent.mkdir(parents=True)
    assert root_of(file) == file.parent
    (workspace / "outer" / mark).mkdir()
    assert root_of(file) == workspace / "outer"
    (workspace / "outer/inner" / mark).write_bytes(b"")
    assert root_of(file) == workspace / "outer/inner"


@pytest.mark.parametrize("variable", ["HOME", "TMPDIR"])
def test_the_root_is_never_what_holds_everything(workspace: Path, variable: str) -> None:
    """The home folder may be a repository of settings."""
    wide = workspace / "wide"
    (wide / ".git").mkdir(parents=True)
    (wide / "some/where").mkdir(parents=True)
    script = (
        "import sys, pathlib; from mdnbench.registry import file_origin; "
        "print(file_origin.root_of(pathlib.Path(sys.argv[1])))"
    )
    for file in (wide / "some/where/plugin.py", wide / "plugin.py"):
        done = subprocess.run(
            [sys.executable, "-c", script, file],
            env={**os.environ, variable: str(wide)},
            check=True,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.stdout.strip() == str(file.parent)


def test_kinds_of_files_here() -> None:
    """The standard library, installed packages, our own, and anything else."""
    import numpy

    import mdnbench_bm3d

    assert kind_of(os.__file__) == kind_of(json.__file__) == "standard"
    assert kind_of(sysconfig.get_path("stdlib") + "/lib-dynload/x.so") == "standard"
    assert kind_of(f"{sys.base_prefix}/lib/python{sys.version_info[0]}{sys.version_info[1]}.zip/os.py") in (
        "standard",
        "other",
    )
    assert kind_of(numpy.__file__) == "installed"
    assert kind_of("/usr/lib/python3/dist-packages/x.py") == "installed"
    assert kind_of(mdnbench.__file__) == kind_of(file_origin.__file__) == kind_of(str(mdnbench_bm3d.__file__)) == "own"
    assert kind_of(__file__) == "other"
    assert own_package(file_origin.__file__) == "mdnbench"
    assert own_package(str(mdnbench_bm3d.__file__)) == "mdnbench_bm3d"
    assert own_package(__file__) == ""


def test_a_stranger_named_like_us_is_not_our_own(workspace: Path) -> None:
    """A package mdnbench_… of another distribution, and one in a folder of its own."""
    assert kind_of(workspace / "mdnbench_mine/__init__.py") == "other"
    assert kind_of(workspace / "lib/site-packages/mdnbench_mine/__init__.py") == "installed"


def test_links_are_told_by_where_they_lead(workspace: Path) -> None:
    """A linked folder of ours, of the standard library, and one that site-packages leads out to."""
    (workspace / "std").symlink_to(Path(os.__file__).parent)
    (workspace / "ours").symlink_to(CORE)
    (workspace / "src").mkdir()
    (workspace / "site-packages").mkdir()
    (workspace / "site-packages/linked").symlink_to(workspace / "src")
    assert kind_of(workspace / "std/os.py") == "standard"
    assert kind_of(workspace / "ours/errors.py") == "own"
    assert kind_of(workspace / "site-packages/linked/x.py") == "installed"
    assert kind_of(workspace / "src/x.py") == "other"


def in_environment(workspace: Path, *flags: str, script: str, paths: Iterable[Path] = ()) -> list[str]:
    """What a script prints in a new virtual environment that knows this checkout by its path."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", *flags, workspace / "env"], check=True)
    python = workspace / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = subprocess.run(
        [python, "-c", script, *paths],
        env={**os.environ, "PYTHONPATH": str(CORE.parent)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("flags", [(), ("--system-site-packages",)])
def test_kinds_in_another_environment(workspace: Path, flags: tuple[str, ...]) -> None:
    """Its own packages and those of the Python below it are installed ones."""
    script = """
import os, sys, sysconfig
for name, folder in (("mdnbench", sys.argv[1]), ("mdnbench.registry", sys.argv[1] + "/registry")):
    sys.modules[name] = type(sys)(name); sys.modules[name].__path__ = [folder]
from mdnbench.registry import file_origin
base = os.path.join(os.path.dirname(os.__file__), "site-packages", "x.py")
for path in (sysconfig.get_path("purelib") + "/x.py", base, os.__file__, sys.prefix + "/x.py", file_origin.__file__):
    print(file_origin.kind_of(path))
"""
    found = in_environment(workspace, *flags, script=script, paths=[CORE])
    assert found == ["installed", "installed", "standard", "other", "own"]

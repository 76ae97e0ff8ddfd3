"""The oldest versions that are declared, and every Python: they install, and a small run, its page and checks pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
NEEDS_GB = 12  # the oldest torch is there as a CUDA build alone
CORE = ("tests/evaluation", "tests/store", "tests/registry/test_syntax.py")
COMMANDS = (
    "run --methods all --sigma 50 --dataset sk12 --images 01,02 --no-timing --out old",
    "report old --to html,md,csv",
    "compare old",
    "check old --baseline base --update",
    "check old --baseline base",
)


def project() -> dict[str, object]:
    """The project's own table."""
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_fault_61_the_declared_versions_are_those_that_are_tried() -> None:
    """Every dependency has a minimum, and the workflow has every Python from the oldest on, on every system."""
    table = project()
    for wanted in table["dependencies"]:  # type: ignore[attr-defined]
        assert re.match(r"[\w-]+>=[\d.]+", wanted), wanted
    (jobs,) = [yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8"))["jobs"]]
    matrix = jobs["systems"]["strategy"]["matrix"]
    assert table["requires-python"] == f">={matrix['python'][0]}"
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert {each.partition("-")[0] for each in matrix["system"]} == {"ubuntu", "macos", "windows"}


def uv(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run uv as a machine with a network does."""
    program = shutil.which("uv", path=f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("uv is not installed")
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, encoding="utf-8", check=False, cwd=ROOT, timeout=1500
    )


def wheel(folder: Path) -> Path:
    """The package as it would be published."""
    build = [sys.executable, "-m", "build", "-w", "-n", "-o", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.full
@pytest.mark.timeout(3000)
def test_fault_61_the_oldest_declared_versions(tmp_path: Path, workspace: Path) -> None:
    """The main job on two images, its report, comparison and check, where nothing is newer than it has to be."""
    if shutil.disk_usage(tmp_path).free < NEEDS_GB * 10**9:
        pytest.skip(f"the oldest versions take {NEEDS_GB} GB of disk")
    wanted, home = tmp_path / "oldest.txt", tmp_path / "old"
    resolved = uv("pip", "compile", "pyproject.toml", "--resolution", "lowest-direct", "--python-version", "3.11",
                  "-q", "-o", wanted)  # fmt: skip
    if resolved.returncode:
        pytest.skip(f"the oldest versions cannot be looked up here: {resolved.stderr.strip().splitlines()[-1]}")
    python = home / "bin" / "python"
    assert uv("venv", "-q", "--python", "3.11", home).returncode == 0
    installed = uv("pip", "install", "-q", "--python", python, "-r", wanted)
    assert installed.returncode == 0, installed.stderr
    assert uv("pip", "install", "-q", "--no-deps", "--python", python, wheel(tmp_path / "wheel")).returncode == 0
    smallest = re.search(r'"torch>=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert smallest is not None
    version = subprocess.run([python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True)
    assert version.stdout.startswith(smallest[1])
    for command in COMMANDS:
        done = subprocess.run([home / "bin" / "mdnbench", *command.split()], capture_output=True, encoding="utf-8")
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.mark.full
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_fault_61_the_core_tests_on_newer_pythons(tmp_path: Path, version: str) -> None:
    """Where a build of torch for CPUs is at hand for that Python."""
    python = tmp_path / "new" / "bin" / "python"
    if uv("venv", "-q", "--seed", "--python", version, tmp_path / "new").returncode:
        pytest.skip(f"there is no Python {version} here")
    links = os.environ.get("PIP_FIND_LINKS", "")
    torch = [python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--find-links", links, "torch"]
    if not links or subprocess.run(torch, capture_output=True).returncode:
        pytest.skip(f"no build of torch for CPUs and Python {version} is at hand")
    command = [python, "-m", "pip", "install", "-q", "-c", "constraints.txt", "-e", ".[test]"]
    subprocess.run(command, check=True, cwd=ROOT)
    done = subprocess.run([python, "-m", "pytest", "-q", *CORE], capture_output=True, encoding="utf-8", cwd=ROOT)
    assert done.returncode == 0, done.stdout[-4000:]

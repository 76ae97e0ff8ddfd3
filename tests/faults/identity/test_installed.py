"""The code of installed plugins and of mdnbench itself counts where it is used."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import mdnbench

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what C code and programs open")


@pytest.fixture
def checkout(tmp_path: Path) -> dict[str, str]:
    """A copy of mdnbench, and the variables with which Python imports that one in place of ours."""
    root, copy = Path(mdnbench.__file__).parents[1], tmp_path / "checkout"
    for name in ("mdnbench", "plugins", "datasets"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("site", "src"):
        (tmp_path / name).mkdir()
    folders = [copy, copy / "plugins", tmp_path / "site", tmp_path / "src"]
    return {"PYTHONPATH": os.pathsep.join(map(str, folders))}


@pytest.mark.full
def test_fault_31_built_in_and_editable_installed_plugins_and_evaluation(
    lab: Any,
    lab_package: Any,
    level_plugin: Any,
    checkout: dict[str, str],
    cli: Any,
    printed_cells: Any,
    tmp_path: Path,
) -> None:
    """Each edit computes what used the file; the code of evaluation counts for all cells, the engine's for none."""
    lab_package.install(tmp_path / "site")
    lab.write("src/lab_plugin/__init__.py", lab_package.text)
    lab.write("src/lab_plugin/inner.py", "LEVEL = 0.5\n")
    lab.write("own.py", level_plugin("own", "LEVEL = 0.25"), plugin=True)
    arguments = lab.arguments("median installed own")

    def run() -> tuple[dict[Any, Any], str]:
        done = cli(*arguments, **checkout)
        assert done.returncode == 0, done.stderr
        return printed_cells(done.stdout), done.stderr

    def renewed(before: dict[Any, Any], after: dict[Any, Any]) -> set[str]:
        return {key[0] for key in after if after[key]["output"] != before[key]["output"]}

    def add(path: str, line: str) -> None:
        with (tmp_path / path).open("a") as file:
            file.write(line)

    first, _ = run()
    add("checkout/mdnbench/evaluation/cases.py", "# a comment\n")
    add("checkout/plugins/mdnbench_classical/filters.py", "# a comment\n")
    add("checkout/plugins/mdnbench_classical/wavelet.py", "# a comment\n")
    add("checkout/mdnbench/engine/loop.py", "UNUSED = 1\n")
    add("checkout/mdnbench/cli/progress.py", "UNUSED = 1\n")
    harmless, said = run()
    assert (renewed(first, harmless), "changed" in said) == (set(), False)
    add("checkout/plugins/mdnbench_classical/filters.py", "UNUSED = 1\n")
    lab.write("src/lab_plugin/inner.py", "LEVEL = 0.1\n")
    edited, said = run()
    assert renewed(harmless, edited) == {"median", "installed"}
    assert re.search(r"mdnbench_classical .*filters\.py has changed; 2 stored cells", said)
    assert re.search(r"lab_plugin .*inner\.py has changed; 2 stored cells", said)
    assert edited["installed", "1"]["psnr"] != first["installed", "1"]["psnr"]
    add("checkout/mdnbench/evaluation/scoring.py", "UNUSED = 1\n")
    judged, said = run()
    assert renewed(edited, judged) == {"median", "installed", "own"}
    assert "mdnbench: evaluation/scoring.py has changed; 6 stored cells" in " ".join(said.split())


@pytest.mark.full
def test_fault_31_a_package_that_pip_has_installed_editable(
    lab: Any, lab_package: Any, cli: Any, printed_cells: Any
) -> None:
    """The same with the real pip, which writes its own files about the package."""
    import subprocess

    target = lab.folder / "target"
    lab.write("project/pyproject.toml", """
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"
        [project]
        name = "lab-plugin"
        version = "1.0"
        [project.entry-points.mdnbench]
        lab = "lab_plugin"
    """)  # fmt: skip
    lab.write("project/lab_plugin/__init__.py", lab_package.text)
    lab.write("project/lab_plugin/inner.py", "LEVEL = 0.5\n")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--target", target]
    done = subprocess.run([*command, "-e", lab.folder / "project"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip cannot install here: {done.stderr[-200:]}")
    path = os.pathsep.join([str(target), *(each.read_text().strip() for each in target.glob("*.pth"))])
    found = []
    for level in ("0.5", "0.1", "0.1"):
        lab.write("project/lab_plugin/inner.py", f"LEVEL = {level}\n")
        done = cli(*lab.arguments("installed noisy"), PYTHONPATH=path)
        assert done.returncode == 0, done.stderr
        found.append((printed_cells(done.stdout)["installed", "1"]["psnr"], "inner.py has changed" in done.stderr))
    assert [note for _, note in found] == [False, True, False]
    assert found[0][0] != found[1][0] == found[2][0]

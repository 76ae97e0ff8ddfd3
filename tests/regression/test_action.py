"""The GitHub Action and the ready workflow: what they name exists, and their scripts do what they should in bash."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest

import mdnbench
from mdnbench import api

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / "action.yml"
WORKFLOW = Path(mdnbench.__file__).parent / "templates" / "benchmark.yml"


def script(step: str) -> str:
    """The bash script of a step of the action, by the step's name."""
    text = ACTION.read_text(encoding="utf-8")
    found = re.search(rf"^    - name: {step}\n(?:      .*\n)*?      run: \|\n((?:        .*\n)+)", text, re.M)
    assert found, step
    return textwrap.dedent(found.group(1))


def run_step(step: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a step as the action would: bash that stops at the first error, values in variables."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RUNNER_TEMP": str(folder),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        **variables,
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script(step)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_inputs_are_declared_and_used() -> None:
    """Each input of the action is used in it, each that is used is declared, and the workflow gives no other."""
    text = ACTION.read_text(encoding="utf-8")
    declared = set(re.findall(r"^  ([a-z-]+):$", text.split("outputs:")[0], re.M))
    assert declared == set(re.findall(r"inputs\.([a-z-]+)", text))
    given = WORKFLOW.read_text(encoding="utf-8").split("with:")[1]
    assert set(re.findall(r"^          ([a-z-]+):", given, re.M)) <= declared


def test_no_value_from_outside_is_part_of_a_script() -> None:
    """Inputs reach bash as variables alone: nothing that a caller writes is run as code."""
    for step in ("Install", "Run", "Check"):
        assert "${{" not in script(step)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_the_scripts_run_check_and_report(tmp_path: Path) -> None:
    """A run is written with its table in the summary; the check passes, and fails once the baseline is better."""
    arguments = "--methods noisy,median[size=3] --sigma 50 --dataset sk12 --images 01 --metrics psnr --no-timing"
    done = run_step("Run", tmp_path, ARGUMENTS=arguments, MDNBENCH_HOME="~/nowhere", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "mdnbench"
    assert (tmp_path / "output").read_text() == f"folder={folder}\n"
    assert r"| median\[size=3\] |" in (tmp_path / "summary.md").read_text()
    stem = api.write_baseline(api.open_run(str(folder)), tmp_path / "base")
    asked = {"FOLDER": str(folder), "BASELINE": str(stem)}
    assert run_step("Check", tmp_path, ARGUMENTS="--partial", **asked).returncode == 0
    csv = stem.with_suffix(".csv")
    csv.write_text(re.sub(r"(\],ok,,)[\d.]+", r"\g<1>99.0", csv.read_text()))
    done = run_step("Check", tmp_path, ARGUMENTS="--tolerance psnr=0.5", **asked)
    assert done.returncode == 1, done.stderr
    assert ElementTree.parse(folder / "check.xml").getroot().get("failures") == "1"
    assert "REGRESSION" in (folder / "check.md").read_text()

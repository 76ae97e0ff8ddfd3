"""The GitHub Action and the ready workflow: valid, safe, and their steps run in bash as GitHub would run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ruamel.yaml import YAML

import mdnbench
from mdnbench import api

ROOT = Path(__file__).resolve().parents[3]
ACTION = ROOT / "action.yml"
WORKFLOW = Path(mdnbench.__file__).parent / "testing" / "templates" / "benchmark.yml"
TOOLS = Path(sys.executable).parent
CONTENT: dict[str, Any] = YAML(typ="safe").load(ACTION.read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in CONTENT["runs"]["steps"]}
SCRIPTS = [name for name, step in STEPS.items() if "run" in step]

OWN = {
    "pyproject.toml": """
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"
        [project]
        name = "half"
        version = "1"
        dependencies = ["mdnbench"]
        [project.entry-points.mdnbench]
        half = "half"
    """,
    "half.py": """
        import mdnbench

        @mdnbench.hookimpl
        def mdnbench_denoisers():
            build = lambda options, device, weights: lambda noisy, noise: (noisy + 0.5) / 2
            return [mdnbench.DenoiserSpec("half", "1", "halfway to gray", build)]
    """,
}


class Runner:
    """Runs the action's scripts as GitHub does: conditions, expressions, outputs and the summary included.

    An expression that names nothing that is declared is a KeyError, where GitHub would quietly put in nothing.
    """

    def __init__(self, folder: Path, path: Path = TOOLS, **inputs: str) -> None:
        declared = {name: str(each.get("default", "")) for name, each in CONTENT["inputs"].items()}
        assert inputs.keys() <= declared.keys()
        self.folder, self.path, self.inputs = folder, path, declared | inputs
        self.outputs: dict[str, dict[str, str]] = {}

    def run(self, name: str, **variables: str) -> subprocess.CompletedProcess[str] | None:
        """Run a step by its name; None where its condition says no."""
        step = STEPS[name]
        if not all(self._holds(part) for part in step.get("if", "always()").split(" && ")):
            return None
        said = {key: self.filled(value) for key, value in step.get("env", {}).items()}
        files = {"GITHUB_OUTPUT": self.folder / f"{name}.output", "GITHUB_STEP_SUMMARY": self.folder / "summary.md"}
        around = {"PATH": f"{self.path}{os.pathsep}{os.environ['PATH']}", "RUNNER_TEMP": str(self.folder)}
        script = self.folder / f"{name}.sh"
        script.write_text(step["run"], encoding="utf-8")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)], cwd=self.folder, capture_output=True,
            text=True, check=False, timeout=500,
            env={**os.environ, **around, **{key: str(path) for key, path in files.items()}, **said, **variables},
        )  # fmt: skip
        if files["GITHUB_OUTPUT"].exists():
            pairs = (line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
            self.outputs[step["id"]] = dict(pairs)
        return done

    def filled(self, text: str) -> str:
        """A text with every expression in it replaced by its value."""
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: self._value(found[1]), text)

    def _holds(self, condition: str) -> bool:
        return condition == "always()" or self._value(condition.removesuffix(" != ''")) != ""

    def _value(self, name: str) -> str:
        kind, _, rest = name.partition(".")
        if kind == "steps":
            step, _, output = rest.partition(".outputs.")
            return self.outputs[step][output]
        return self.inputs[rest] if kind == "inputs" else {"github.action_path": str(ROOT)}[name]


def tool(name: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program that the test extra installs."""
    command = [str(TOOLS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


@pytest.mark.parametrize(("schema", "path"), [("github-actions", ACTION), ("github-workflows", WORKFLOW)])
def test_action_and_workflow_are_what_github_takes(schema: str, path: Path, tmp_path: Path) -> None:
    """Both keep to GitHub's schemas; a key that is none is found."""
    done = tool("check-jsonschema", "--builtin-schema", f"vendor.{schema}", path)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / path.name
    broken.write_text(path.read_text(encoding="utf-8") + "\nrnus: {}\n", encoding="utf-8")
    assert tool("check-jsonschema", "--builtin-schema", f"vendor.{schema}", broken).returncode == 1


def test_action_and_workflow_cannot_be_abused(tmp_path: Path) -> None:
    """No code from outside in scripts, no credentials left lying, no rights that are not needed, says zizmor."""
    config = Path(__file__).with_name("zizmor.yml")
    done = tool("zizmor", "--offline", "--no-progress", "--config", config, ACTION, WORKFLOW)
    assert done.returncode == 0, done.stdout
    unsafe = tmp_path / "action.yml"
    unsafe.write_text(ACTION.read_text(encoding="utf-8").replace("$ARGUMENTS", "${{ inputs.run }}"), encoding="utf-8")
    done = tool("zizmor", "--offline", "--no-progress", "--config", config, unsafe)
    assert "template-injection" in done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_sound(name: str) -> None:
    """Shellcheck has nothing to say but that words are split (SC2086), which `set -f` and the inputs are made for."""
    done = tool("shellcheck", "--shell=bash", "--exclude=SC2086", "-", input=STEPS[name]["run"])
    assert done.returncode == 0, done.stdout
    assert ("set -f" in STEPS[name]["run"]) == bool(re.search(r"[^\"]\$[A-Z]+", STEPS[name]["run"]))


def test_inputs_are_declared_and_used() -> None:
    """Each input of the action is used in it, each that is used is declared, and the workflow gives no other."""
    assert set(CONTENT["inputs"]) == set(re.findall(r"inputs\.([a-z-]+)", ACTION.read_text(encoding="utf-8")))
    jobs = YAML(typ="safe").load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    (given,) = (step["with"] for step in jobs["benchmark"]["steps"] if "mdnbench" in step["uses"])
    assert given.keys() <= CONTENT["inputs"].keys()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_the_steps_run_check_and_report(tmp_path: Path) -> None:
    """A run is written with its table in the summary; the check passes, and fails once the baseline is better."""
    arguments = "--methods noisy,median[size=3] --sigma 50 --dataset sk12 --images 01 --metrics psnr --no-timing"
    runner = Runner(tmp_path, run=arguments, check="--partial")
    done = runner.run("Run", HOME=str(tmp_path))
    assert done is not None
    assert done.returncode == 0, done.stderr
    assert runner.run("Check") is None  # without a baseline
    folder = Path(runner.filled(CONTENT["outputs"]["folder"]["value"]))
    assert folder == tmp_path / "mdnbench"
    assert runner.filled(STEPS["Keep"]["with"]["path"]) == str(folder)
    assert r"| median\[size=3\] |" in (tmp_path / "summary.md").read_text()
    stem = api.write_baseline(api.open_run(str(folder)), tmp_path / "base")
    runner.inputs["baseline"] = "base"
    done = runner.run("Check")
    assert done is not None
    assert done.returncode == 0, done.stderr
    csv = stem.with_suffix(".csv")
    csv.write_text(re.sub(r"(\],ok,,)[\d.]+", r"\g<1>99.0", csv.read_text()))
    runner.inputs["check"] = "--tolerance psnr=0.5"
    done = runner.run("Check")
    assert done is not None
    assert done.returncode == 1, done.stderr
    assert ElementTree.parse(folder / "check.xml").getroot().get("failures") == "1"
    assert "REGRESSION" in (folder / "check.md").read_text()
    assert "REGRESSION" in (tmp_path / "summary.md").read_text()


@pytest.mark.full
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_the_action_installs_a_plugin_and_runs_it(tmp_path: Path) -> None:
    """From a fresh environment to a verdict: mdnbench, a stranger's package, its run and its check."""
    for name, text in OWN.items():
        (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=300)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "around.pth").write_text(sysconfig.get_path("purelib") + "\n")  # torch and the like need no new copy
    arguments = "--methods noisy,half --sigma 50 --dataset sk12 --images 01 --metrics psnr --no-timing"
    runner = Runner(tmp_path, tmp_path / "venv" / "bin", run=arguments, plugin=".", baseline="base")
    for step in ("Install", "Run"):
        done = runner.run(step)
        assert done is not None
        assert done.returncode == 0, done.stderr
    folder = Path(runner.filled(CONTENT["outputs"]["folder"]["value"]))
    assert "| half " in (folder / "table.md").read_text()
    mine = tmp_path / "venv" / "bin" / "mdnbench"
    update = [str(mine), "check", str(folder), "--baseline", "base", "--update"]
    subprocess.run(update, cwd=tmp_path, check=True, timeout=300)
    done = runner.run("Check")
    assert done is not None
    assert done.returncode == 0, done.stderr
    assert "no regression" in (folder / "check.md").read_text()

"""`check` names what has changed: the code on one machine is not taken for another machine."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import tomli_w

from mdnbench import api
from mdnbench.analysis.regression import Verdict, findings, junit
from mdnbench.cli import verdicts

PLUGIN = """
import mdnbench
import helper

def build(options, device, weights):
    return lambda noisy, noise: noisy * helper.GAIN

def spots(clean, rng):
    return clean + helper.SPREAD * rng.standard_normal(clean.shape)

def far(device):
    return lambda denoised, clean: helper.WEIGHT * float(abs(denoised - clean).mean())

def near(device):
    return lambda denoised, clean: -helper.WEIGHT * float(abs(denoised - clean).mean())

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("own", "1", "", build)]

@mdnbench.hookimpl
def mdnbench_metrics():
    return [
        mdnbench.MetricSpec("far", "1", "a distance", "lower", far),
        mdnbench.MetricSpec("near", "1", "its opposite", "higher", near),
    ]
"""
HELPER = "GAIN = {gain}\nSPREAD = 0.1\nWEIGHT = {weight}\n"
WORSE, BETTER = "0.5", "0.99"  # than 0.9


@pytest.fixture
def measured(lab: Any) -> Any:
    """A lab whose method and metrics were run, with a baseline of that run."""
    helper(lab)
    lab.write("own.py", PLUGIN, plugin=True)
    results(lab)
    api.write_baseline(results(lab), lab.folder / "base")
    return lab


def helper(lab: Any, gain: str = "0.9", weight: str = "1.0") -> None:
    """Write the module that method and metrics share."""
    lab.write("helper.py", HELPER.format(gain=gain, weight=weight))


def results(lab: Any, metrics: str = "psnr,near,far") -> Any:
    """Run everything that is not stored; the results as a later command reads them."""
    lab.run("own noisy", metrics=metrics.split(","), out="run")
    return api.open_run("run", workspace_folder=lab.folder / ".mdnbench")


def check(lab: Any) -> Verdict:
    """The verdict on a run of the code as it is."""
    return api.check(results(lab), lab.folder / "base")


def edit(lab: Any, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit the baseline's TOML file."""
    path = lab.folder / "base.toml"
    facts = tomllib.loads(path.read_text(encoding="utf-8"))
    change(facts)
    path.write_text(tomli_w.dumps(facts), encoding="utf-8")


def everywhere(verdict: Verdict) -> list[str]:
    """The verdict as each format writes it: terminal and notebook, Markdown, JUnit."""
    lines = [findings.conclusion(verdict), *findings.causes(verdict), *findings.grounds(verdict)]
    return [
        "\n".join(lines),
        verdicts.as_markdown(verdict).replace("\\", ""),
        junit.text_of(verdict),
        verdict._repr_html_(),
    ]


def test_fault_59_an_edit_on_one_machine_is_named_as_code(measured: Any) -> None:
    """The file of the plugin is the cause, and no format speaks of another machine or other packages."""
    assert check(measured).exit_code == 0
    helper(measured, gain=WORSE)
    verdict = check(measured)
    assert verdict.exit_code == 1
    (gate,) = [each for each in verdict.regressions if each.metric == "psnr"]
    assert gate.method == "own"  # the edit took effect, and there alone
    assert [each.kind for each in gate.causes] == ["code"]
    assert "own.py: helper.py" in gate.causes[0].what
    (difference,) = verdict.differences
    assert difference.kind == "code"
    for text in everywhere(verdict):
        assert "own.py: helper.py" in text
        assert "machine" not in text
    assert "what changed: code" in findings.conclusion(verdict)


def test_fault_59_the_command_says_it_too(measured: Any, cli: Callable[..., Any]) -> None:
    """`check` of the command line: terminal, JSON, JUnit and Markdown name the file, and it exits with 1."""
    helper(measured, gain=WORSE)
    results(measured)
    command = ("check", "run", "--baseline", "base", "--junit", "j.xml", "--markdown", "m.md")
    said, printed = cli(*command), cli(*command, "--json")
    assert (said.returncode, printed.returncode) == (1, 1)
    gates = json.loads(printed.stdout)["gates"]
    causes = {cause["what"] for gate in gates for cause in gate["causes"] if gate["state"] == "regression"}
    assert any("own.py: helper.py" in what for what in causes)
    assert {gate["direction"] for gate in gates} == {"higher", "lower"}
    written = [said.stdout, Path("j.xml").read_text(encoding="utf-8"), Path("m.md").read_text(encoding="utf-8")]
    for text in written:
        assert "own.py: helper.py" in text
        assert "got worse" in text
        assert "another machine" not in text


def test_fault_59_a_comment_is_no_change(measured: Any) -> None:
    """Comments and layout change nothing, and nothing is said to have changed."""
    path = measured.folder / "helper.py"
    path.write_text("# the same\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    verdict = check(measured)
    assert (verdict.exit_code, verdict.differences, verdict.notes) == (0, (), ())


@pytest.mark.parametrize(("gain", "fell", "rose", "word", "code"), [
    (WORSE, "near", "far", "worse", 1), (BETTER, "far", "near", "better", 0),
])  # fmt: skip
def test_fault_59_worse_and_better_follow_the_direction(
    measured: Any, gain: str, fell: str, rose: str, word: str, code: int
) -> None:
    """Of two opposite metrics one falls and one rises, and both get worse, or both get better."""
    helper(measured, gain=gain)
    verdict = check(measured)
    assert verdict.exit_code == code
    state = "regression" if word == "worse" else "improvement"
    gates = {gate.metric: gate for gate in verdict.gates if gate.method == "own"}
    assert gates[fell].change < 0 < gates[rose].change  # it took effect
    assert {gates[name].state for name in (fell, rose)} == {state}
    moved = "(2 means fell, 1 mean rose)" if word == "worse" else "(1 mean fell, 2 means rose)"
    assert moved in findings.conclusion(verdict)
    assert f"means got {word}" in findings.conclusion(verdict)
    for text in everywhere(verdict):
        assert f"got {word}" in text
        assert f"got {'better' if word == 'worse' else 'worse'}" not in text
    cases = ElementTree.fromstring(junit.text_of(verdict)).iter("testcase")
    failed = {case.get("name") for case in cases if case.find("failure") is not None}
    assert failed == ({"near", "far", "psnr"} if word == "worse" else set())


def test_fault_59_the_strongest_evidence_comes_first(measured: Any) -> None:
    """Code, weights, packages, machine and revision that differ together are all named, in this order."""
    helper(measured, gain=WORSE)

    def change(facts: dict[str, Any]) -> None:
        facts["cpu"] = "another"
        facts["packages"]["numpy"] = "1.0"
        facts["code"]["method own"]["package: numpy"] = "1.0"
        facts["packages"]["torchvision"] = "0.1"
        facts["methods"]["own"] |= {"revision": "0", "weights": "0" * 64}

    edit(measured, change)
    verdict = api.check(results(measured), measured.folder / "base", tolerances={"psnr": 0.01})
    (gate,) = [each for each in verdict.gates if (each.method, each.metric) == ("own", "psnr")]
    assert [each.kind for each in gate.causes] == ["code", "weights", "packages", "machine", "revision"]
    assert str(gate.causes[2]).startswith("package numpy: 1.0 → ")  # the method loads no torchvision
    assert findings.conclusion(verdict).endswith("what changed: code, weights, packages, machine, revision")


def test_fault_59_the_judges_code_counts_too(measured: Any) -> None:
    """An edited metric changes the scores of methods that nobody touched; so does the code that evaluates all."""
    helper(measured, weight="1.5")
    verdict = check(measured)
    gates = {gate.metric: gate for gate in verdict.gates if gate.method == "noisy"}
    assert {name for name, gate in gates.items() if gate.state == "regression"} == {"near", "far"}
    (cause,) = gates["far"].causes
    assert cause.kind == "code"
    assert "metric far" in cause.what

    helper(measured)
    edit(measured, lambda facts: facts["code"]["evaluation"].update({"mdnbench: evaluation/scoring.py": "0" * 12}))
    (difference,) = check(measured).differences
    assert difference.what == "code of evaluation (mdnbench: evaluation/scoring.py)"


def test_fault_59_a_baseline_without_code_says_so(measured: Any) -> None:
    """One of earlier days still judges, and does not claim that the code is the same."""
    edit(measured, lambda facts: facts.pop("code"))
    verdict = check(measured)
    assert verdict.exit_code == 0
    (note,) = verdict.notes
    assert note.startswith("the baseline does not know the code behind its numbers")
    helper(measured, gain=WORSE)
    verdict = check(measured)
    assert verdict.exit_code == 1
    unknown = "nothing has changed that the baseline and the run both know of"
    assert all(line.endswith(unknown) for line in findings.causes(verdict))
    assert "machine" not in findings.conclusion(verdict)


def test_fault_59_a_baseline_holds_no_folder_of_this_machine(measured: Any) -> None:
    """Its files are named below their plugin, and it can be read and compared line by line."""
    text = (measured.folder / "base.toml").read_text(encoding="utf-8")
    assert str(measured.folder) not in text
    table = tomllib.loads(text)["code"]
    assert table["method own"]["plugin"] == "own.py"
    assert {"plugin: own.py", "plugin: helper.py"} <= table["method own"].keys()
    assert table["noise gaussian:sigma=25"]["plugin"] == "mdnbench_noises"
    assert table["metric far"]["plugin"] == "own.py"
    assert {"evaluation", "method noisy", "metric psnr", "metric far"} <= table.keys()

"""The regression check beyond its first form: what tolerances rest on, what is unlike, updates, JUnit, seconds."""

from __future__ import annotations

import csv
import json
import math
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import tomli_w
import xmlschema
from made_records import benchmark, timing_record

from mdnbench import api
from mdnbench.analysis.regression import Gate, baselines, junit, slowdown
from mdnbench.cli import verdicts
from mdnbench.errors import BadFile, NothingToDo, UnknownName, UsageError
from mdnbench.results import Results
from mdnbench.spec.timings import TimingRecord
from mdnbench.util import jsonfile

NOISE = "gaussian:sigma=50"


@pytest.fixture
def stem(finished: Results, tmp_path: Path) -> Path:
    """A baseline that was written from the finished run itself."""
    return api.write_baseline(finished, tmp_path / "base")


def edit_facts(stem: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit a baseline's TOML file, as a person would."""
    path = stem.with_name(stem.name + ".toml")
    facts = tomllib.loads(path.read_text(encoding="utf-8"))
    change(facts)
    path.write_text(tomli_w.dumps(facts), encoding="utf-8")


def edit_cells(stem: Path, change: Callable[[dict[str, str]], None]) -> None:
    """Edit every line of a baseline's CSV file."""
    path = stem.with_name(stem.name + ".csv")
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        change(line)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)


def raise_psnr(stem: Path, by: float, image: str = "") -> None:
    """Let the baseline's PSNR of the median filter be better by so many dB."""

    def change(line: dict[str, str]) -> None:
        if line["method"] == "median" and image in ("", line["image"]):
            line["psnr"] = repr(float(line["psnr"]) + by)

    edit_cells(stem, change)


def gate(results: Results, stem: Path, **options: Any) -> Gate:
    """The gate of the median filter's PSNR at sigma 50."""
    found = api.check(results, stem, **options)
    return next(g for g in found.gates if (g.noise, g.method, g.metric) == (NOISE, "median", "psnr"))


def retrained(facts: dict[str, Any]) -> None:
    """As if the baseline's median filter had had weights."""
    facts["methods"]["median"]["weights"] = "0" * 64


def test_equal_tables_pass_with_the_tightest_tolerances(finished: Results, stem: Path) -> None:
    """On one machine with the same packages a mean may change by a fiftieth of its metric's tolerance."""
    verdict = api.check(finished, stem)
    assert verdict.exit_code == 0
    assert {g.basis for g in verdict.gates} == {"same"}
    assert {g.metric: g.tolerance for g in verdict.gates} == {"psnr": 0.001, "ssim": pytest.approx(0.002 / 50)}
    assert verdict.differences == ()


@pytest.mark.parametrize(
    ("change", "basis", "tolerance"),
    [
        (lambda facts: facts.update(cpu="another"), "across", 0.01),
        (lambda facts: facts.update(device="cuda"), "across", 0.01),
        (lambda facts: facts["packages"].update(scipy="0.1"), "across", 0.01),
        (lambda facts: facts["packages"].update(pandas="0.1"), "same", 0.001),
        (lambda facts: facts["methods"]["median"].update(revision="0"), "across", 0.01),
        (retrained, "retrained", 0.05),
        (lambda facts: (retrained(facts), facts.update(spread={"median": {"psnr": 0.03}})), "retrained", 0.09),
        (lambda facts: (retrained(facts), facts.update(spread={"median": {"psnr": 0.01}})), "retrained", 0.05),
        (lambda facts: facts.update(tolerances={"psnr": 0.7}), "baseline", 0.7),
    ],
)
def test_a_tolerance_rests_on_what_the_two_share(
    finished: Results, stem: Path, change: Callable[[dict[str, Any]], None], basis: str, tolerance: float
) -> None:
    """Same weights and machine, another machine or packages, other weights with their spread, or as the file says."""
    edit_facts(stem, change)
    found = gate(finished, stem)
    assert (found.basis, found.tolerance) == (basis, pytest.approx(tolerance))


def test_other_noisy_pixels_get_the_whole_tolerance(finished: Results, stem: Path) -> None:
    """Two realisations of one noise differ by more than two machines do."""
    edit_cells(stem, lambda line: line.update(noisy_digest="0" * 64))
    found = gate(finished, stem)
    assert (found.basis, found.tolerance) == ("noise", pytest.approx(0.05))


def test_what_is_said_stands_above_what_the_baseline_says(finished: Results, stem: Path) -> None:
    """`--tolerance` wins over `[tolerances]`, and a metric that the baseline lacks is refused."""
    edit_facts(stem, lambda facts: facts.update(tolerances={"psnr": 0.7}))
    assert gate(finished, stem, tolerances={"psnr": 0.2}).tolerance == 0.2
    with pytest.raises(UnknownName, match="lpips"):
        api.check(finished, stem, tolerances={"lpips": 0.2})


@pytest.mark.parametrize(("name", "value"), [("pnsr", 0.1), ("psnr", -1.0)])
def test_a_mistake_in_the_table_of_tolerances_is_named(finished: Results, stem: Path, name: str, value: float) -> None:
    """A misspelt metric or a negative tolerance in the file is an error, not a check that lets everything pass."""
    edit_facts(stem, lambda facts: facts.update(tolerances={name: value}))
    with pytest.raises((UnknownName, BadFile), match=name):
        api.check(finished, stem)


def test_means_gate_and_single_images_warn(finished: Results, stem: Path) -> None:
    """One image that fell is a warning while the mean holds; an improvement is told as a stale baseline."""
    raise_psnr(stem, 0.5, image="01")
    raise_psnr(stem, -0.6, image="02")
    verdict = api.check(finished, stem)
    assert verdict.exit_code == 0
    assert gate(finished, stem).state == "improvement"
    assert [line for line in verdict.worst if line.startswith("median on 01")]
    assert "stale" in verdicts.as_markdown(verdict)


def test_a_fallen_mean_is_a_regression(finished: Results, stem: Path) -> None:
    """A mean that fell by more than its tolerance ends with exit code 1; by less it passes."""
    raise_psnr(stem, 0.0009)
    assert api.check(finished, stem).exit_code == 0
    raise_psnr(stem, 0.0009)
    verdict = api.check(finished, stem)
    assert verdict.exit_code == 1
    assert {g.method for g in verdict.regressions} == {"median"}


def test_whatever_is_unlike_is_shown(finished: Results, stem: Path) -> None:
    """Packages, weights, revisions, CPU and noisy pixels that differ are listed; each package once."""

    def change(facts: dict[str, Any]) -> None:
        facts["cpu"] = "another"
        facts["packages"]["scipy"] = facts["methods"]["median"]["scipy"] = "0.1"
        facts["methods"]["noisy"]["revision"] = "0"
        retrained(facts)

    edit_facts(stem, change)
    edit_cells(stem, lambda line: line.update(noisy_digest="0" * 64) if line["image"] == "01" else None)
    said = {each.what: (each.before, each.after) for each in api.check(finished, stem).differences}
    assert set(said) == {"revision of noisy", "weights of median", "package scipy", "CPU", "noisy pixels"}
    assert said["package scipy"][0] == "0.1"
    assert said["weights of median"] == ("000000000000", "")


def test_metrics_that_are_not_there_are_noted_and_methods_that_are_gone_are_missing(
    finished: Results, stem: Path
) -> None:
    """A metric without which the run was made is said aloud; a method that is gone fails unless `partial`."""
    edit_facts(stem, lambda facts: facts["metrics"].update(lpips=dict(facts["metrics"]["ssim"])))
    edit_cells(stem, lambda line: line.update(lpips="0.2", method={"noisy": "gone"}.get(line["method"], "median")))
    verdict = api.check(finished, stem)
    assert verdict.exit_code == 1
    assert verdict.missing == tuple(
        f"gone ({noise}) is in the baseline and not in this run" for noise in ("gaussian:sigma=50", "gaussian:sigma=25")
    )
    assert verdict.notes == (
        "lpips was not compared in 4 cells of the baseline: the run was made without it",
        "noisy is not in the baseline",
    )
    assert api.check(finished, stem, partial=True).exit_code == 0


def test_nothing_compared_is_no_pass(finished: Results, stem: Path) -> None:
    """A baseline about other methods, and one about another protocol, each end with their own error."""
    edit_cells(stem, lambda line: line.update(method=f"other-{line['method']}"))
    with pytest.raises(NothingToDo, match="not a pass"):
        api.check(finished, stem, partial=True)
    edit_facts(stem, lambda facts: facts.update(protocol_hash="00000000"))
    with pytest.raises(UsageError, match=r"protocol: 'standard .*' here, 'standard 00000000' in the baseline"):
        api.check(finished, stem)


def test_one_infinite_cell_hides_no_other(finished: Results, stem: Path) -> None:
    """A cell that was perfect is a regression by itself, and the mean is over those that are finite on both sides."""
    raise_psnr(stem, math.inf, image="01")
    raise_psnr(stem, 1.0, image="02")
    found = gate(finished, stem)
    assert (found.state, found.change) == ("regression", pytest.approx(-1.0))
    assert any("∞" in line for line in api.check(finished, stem).worst)


def test_a_perfect_cell_that_is_none_any_more_is_a_regression(finished: Results, stem: Path) -> None:
    """Nearly all are left out of the mean, whose cells are counted, and yet it is no pass."""
    assert api.check(finished, stem).exit_code == 0
    before = gate(finished, stem)
    raise_psnr(stem, math.inf, image="01")
    verdict, after = api.check(finished, stem), gate(finished, stem)
    assert (verdict.exit_code, after.state) == (1, "pass")
    assert after.cells < before.cells
    assert any("psnr was inf and is" in line for line in verdict.missing)


def test_what_the_baseline_lacks_is_named(finished: Results, stem: Path) -> None:
    """A value that is blank or no number is not passed over without a word; two lines of one cell are refused."""
    edit_cells(stem, lambda line: line.update(psnr="nan" if line["image"] == "01" else line["psnr"]))
    (note,) = [note for note in api.check(finished, stem).notes if "psnr" in note]
    assert "the baseline has no value there" in note
    edit_cells(stem, lambda line: line.update(image="01"))
    with pytest.raises(BadFile, match="two lines are of"):
        api.check(finished, stem)


def test_junit_has_a_case_for_every_gate(finished: Results, stem: Path) -> None:
    """The XML parses, counts its failures, and says what was measured; names that XML cannot hold are replaced."""
    raise_psnr(stem, 1.0)
    verdict = replace(api.check(finished, stem), missing=("a\x00b & <c>",), run="odd \ud800 name")
    suite = ElementTree.fromstring(junit.text_of(verdict).encode())
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("9", "3", "0")
    failures = [case.find("failure") for case in suite.iter("testcase") if case.find("failure") is not None]
    assert [each.get("message") for each in failures if each is not None][-1] == "a\N{REPLACEMENT CHARACTER}b & <c>"
    assert "−1.000" in str(failures[0].get("message") if failures[0] is not None else "")


def test_junit_keeps_to_the_schema(finished: Results, stem: Path) -> None:
    """Passes, falls, rises, losses, slow and undecided methods, warnings: all stand where JUnit's readers look."""
    schema = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))
    schema.validate(junit.text_of(api.check(finished, stem)))
    raise_psnr(stem, 1.0)
    paces, _ = slowdown.compare(timed([2 * each for each in STEADY]), timed(STEADY))
    few, _ = slowdown.compare(timed([0.2, 0.2]), timed([0.1, 0.1]))
    fallen = api.check(finished, stem)
    verdict = replace(fallen, missing=("gone",), notes=("beware",), speeds=(*paces, *few), untimed="not timed")
    schema.validate(junit.text_of(verdict))
    suite = ElementTree.fromstring(junit.text_of(verdict))
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["12", str(len(fallen.regressions) + 2), "1", "1"]
    assert not schema.is_valid(junit.text_of(verdict).replace(' type="missing"', ""))


def test_check_writes_what_it_is_asked_for(finished: Results, stem: Path, cli: Any, tmp_path: Path) -> None:
    """`mdnbench check` prints JSON, writes JUnit XML and Markdown, and ends with the verdict's exit code."""
    raise_psnr(stem, 1.0)
    done = cli(
        "check", finished.folder, "--baseline", stem, "--json", "--junit", "j.xml", "--markdown", "m.md",
        GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["exit_code"] == 1
    assert {g["state"] for g in found["gates"]} == {"pass", "regression"}
    assert ElementTree.parse(tmp_path / "j.xml").getroot().get("failures") == "2"
    assert (tmp_path / "m.md").read_text(encoding="utf-8") == (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "REGRESSION" in (tmp_path / "m.md").read_text(encoding="utf-8")


def test_a_tolerance_of_a_metric_that_was_left_out_outlives_an_update(finished: Results, stem: Path) -> None:
    """A run without it writes a baseline that can be read; a spread that is measured anew takes the old one's place."""
    edit_facts(stem, lambda facts: facts.update(tolerances={"lpips": 0.3}))
    assert "lpips" not in baselines.read(stem).facts.metrics
    api.write_baseline(finished, stem)
    assert baselines.read(stem).facts.tolerances == {"lpips": 0.3}
    assert api.check(finished, stem).exit_code == 0
    measured = replace(baselines.read(stem).facts, spread={"median": {"psnr": 0.01}})
    edit_facts(stem, lambda facts: facts.update(spread={"median": {"psnr": 0.9}, "tv": {"psnr": 0.2}}))
    kept = baselines._edited(measured, stem.with_name(stem.name + ".toml"))
    assert kept.spread == {"median": {"psnr": 0.01}, "tv": {"psnr": 0.2}}


def test_update_shows_what_changes_and_keeps_what_was_edited(finished: Results, stem: Path, cli: Any) -> None:
    """`--update` names the means and facts that change, and leaves tolerances and spreads as a person wrote them."""
    raise_psnr(stem, 1.0)
    edit_facts(stem, lambda facts: facts.update(cpu="old", tolerances={"psnr": 0.3}, spread={"median": {"psnr": 0.2}}))
    done = cli("check", finished.folder, "--baseline", stem, "--update")
    assert done.returncode == 0, done.stderr
    assert "−1.000" in done.stdout
    assert "CPU: old →" in done.stdout
    assert "2 means change; 0 cells are new, 0 are gone" in done.stdout
    facts = baselines.read(stem).facts
    assert (facts.tolerances, facts.spread) == ({"psnr": 0.3}, {"median": {"psnr": 0.2}})
    assert api.check(finished, stem).exit_code == 0


def test_a_run_of_nothing_makes_no_baseline(tmp_path: Path, plugin: Any) -> None:
    """A run without one good cell is refused as a baseline, and nothing is written."""
    path = plugin("""
        def build(options, device, weights):
            raise mdnbench.Unavailable("not today")

        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec("never", "1", "", build)]
    """)
    found = api.run(
        methods=["never"], plugins=[str(path)], noise="gaussian:50", dataset="sk12", images=["01"], metrics=["psnr"],
        timing=False, jobs=1,
    )  # fmt: skip
    with pytest.raises(NothingToDo, match="no cell that is ok"):
        api.write_baseline(found, tmp_path / "empty")
    assert not list(tmp_path.glob("empty*"))


def test_a_name_that_looks_like_a_formula_comes_back(finished: Results, stem: Path) -> None:
    """The quote that `cells.csv` puts before `=cmd()` is no part of the image's name."""
    edit_cells(stem, lambda line: line.update(image="'=cmd()" if line["image"] == "01" else "'quoted'"))
    assert {key[0] for key in baselines.read(stem).cells} == {"=cmd()", "'quoted'"}


# -- seconds ---------------------------------------------------------------------------------------------------------


def timed(seconds: list[float], group: str = "256×256", node: str = "here") -> TimingRecord:
    """A timing record of one method, of these seconds."""
    return timing_record(benchmark("median", group, seconds), node=node)


STEADY = [0.100 + 0.001 * (index % 7) for index in range(20)]


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        (STEADY, "pass"),
        ([1.2 * each for each in STEADY], "pass"),  # significant, and not by much
        ([1.5 * each for each in STEADY], "slower"),
        ([each / 1.5 for each in STEADY], "faster"),
        ([0.2, 0.2], "undecided"),  # twice as long, and too few calls for any test
        ([0.05] * 9 + [0.2] * 11, "pass"),  # the median doubled, and the ranks say little
    ],
)
def test_slower_needs_both_the_ratio_and_the_ranks(seconds: list[float], state: str) -> None:
    """Neither a median that moved by chance nor a shift too small to matter is called slower."""
    before = STEADY if len(seconds) > 2 else STEADY[:3]
    paces, _ = slowdown.compare(timed(seconds), timed(before))
    assert [pace.state for pace in paces] == [state]


def test_seconds_are_compared_on_one_machine_only() -> None:
    """Another machine, another image size, or no record at all: nothing is compared, and that is said."""
    other = timed(STEADY, node="elsewhere")
    for run, baseline, why in (
        (timed(STEADY), other, "one machine"),
        (timed(STEADY), timed(STEADY, "512×512"), "same conditions"),
        (None, timed(STEADY), "not timed"),
        (timed(STEADY), None, "baseline has none"),
        (timed([0.2, 0.2]), timed([0.1, 0.1]), "too few calls"),
    ):
        _, problem = slowdown.compare(run, baseline)
        assert why in problem


def test_a_real_record_can_be_compared() -> None:
    """The record that a timing phase wrote for the baseline in this repository, held against itself, is no slower."""
    stored = baselines.read(Path(__file__).parents[3] / "reports" / "baselines" / "set12-sigma50").timing
    paces, problem = slowdown.compare(stored, stored)
    assert {pace.state for pace in paces} == {"pass"}
    assert len(paces) > 1
    assert problem == ""


def test_timing_gates_only_where_asked_for(finished: Results, stem: Path, tmp_path: Path) -> None:
    """With `timing` a slower method is a regression and timing in vain is exit code 5; without, seconds are ignored."""
    run = Results(finished.store, finished.name, tmp_path / "folder")
    run.folder.mkdir()
    jsonfile.write(run.folder / "timing.json", timed([2 * each for each in STEADY]))
    assert api.check(run, stem, timing=True).exit_code == 5
    jsonfile.write(stem.with_name(stem.name + ".timing.json"), timed(STEADY))
    verdict = api.check(run, stem, timing=True)
    assert (verdict.exit_code, [pace.method for pace in verdict.slower]) == (1, ["median"])
    assert "SLOWER" in verdicts.as_markdown(verdict)
    assert api.check(run, stem, timing=True, tolerances={"seconds": 1.5}).exit_code == 0
    assert api.check(run, stem).exit_code == 0

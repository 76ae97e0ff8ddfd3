"""The regression check: what falls, what rises, what is lost, and what must not be compared."""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from mdnbench import api
from mdnbench.analysis.regression import Verdict, baselines
from mdnbench.analysis.regression import verdict as verdicts
from mdnbench.analysis.regression.tolerances import Tolerances
from mdnbench.errors import NothingToDo, UnknownName, UsageError
from mdnbench.results import Results

Line = dict[str, str]
LOOSE = {"psnr": 0.05, "ssim": 0.005}


@pytest.fixture
def stem(finished: Results, tmp_path: Path) -> Path:
    """A baseline that was written from the finished run."""
    return api.write_baseline(finished, tmp_path / "base")


def edit(stem: Path, change: Callable[[Line], Line | None]) -> None:
    """Change each line of a baseline's table; None takes it out."""
    path = stem.with_suffix(".csv")
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    kept = [line for line in (change(dict(line)) for line in lines) if line]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(kept)


def shift(stem: Path, metric: str, by: float, method: str = "median") -> None:
    """Move a method's values in the baseline."""

    def change(line: Line) -> Line:
        value = float(line[metric]) + (by if line["method"] == method else 0)
        return line | {metric: repr(value)}

    edit(stem, change)


def check(results: Results, stem: Path, **changes: Any) -> Verdict:
    """The verdict under tolerances that do not depend on the machine."""
    return api.check(results, stem, **{"tolerances": LOOSE} | changes)


def states(verdict: Verdict) -> dict[tuple[str, str, str], str]:
    """The gates' states by method, level and metric."""
    return {(gate.method, gate.noise.rpartition("=")[2], gate.metric): gate.state for gate in verdict.gates}


def test_an_equal_run_passes(finished: Results, stem: Path) -> None:
    """Every mean of every method is a gate, and all pass."""
    verdict = check(finished, stem)
    assert verdict.exit_code == 0
    assert len(verdict.gates) == 2 * 2 * 2
    assert set(states(verdict).values()) == {"pass"}
    assert {gate.cells for gate in verdict.gates} == {2}
    assert all(gate.change == 0 for gate in verdict.gates)
    assert (verdict.missing, verdict.worst) == ((), ())


def test_a_change_within_the_tolerance_passes(finished: Results, stem: Path) -> None:
    """Just inside on both sides is a pass."""
    shift(stem, "psnr", 0.049)
    shift(stem, "psnr", -0.049, "noisy")
    assert check(finished, stem).exit_code == 0


def test_a_fall_beyond_the_tolerance_is_a_regression(finished: Results, stem: Path) -> None:
    """The mean that fell is the only one, with its numbers, and single images warn beside it."""
    shift(stem, "psnr", 0.06)
    verdict = check(finished, stem)
    assert verdict.exit_code == 1
    fallen = {key: state for key, state in states(verdict).items() if state != "pass"}
    assert fallen == {("median", "50", "psnr"): "regression", ("median", "25", "psnr"): "regression"}
    assert verdict.regressions[0].change == pytest.approx(-0.06)
    assert len(verdict.worst) == 4
    assert "median on 01 (gaussian:sigma=50, seed 0): psnr" in verdict.worst[0]


def test_a_rise_is_an_improvement_and_no_failure(finished: Results, stem: Path) -> None:
    """Better than the baseline says that the baseline is stale, and the exit code is 0."""
    shift(stem, "ssim", -0.05)
    verdict = check(finished, stem)
    assert verdict.exit_code == 0
    assert [gate.metric for gate in verdict.improvements] == ["ssim", "ssim"]


def test_the_direction_of_a_metric_decides(finished: Results, stem: Path) -> None:
    """For a metric of which less is better, a rise is the regression."""
    path = stem.with_suffix(".toml")
    facts = tomllib.loads(path.read_text(encoding="utf-8"))
    facts["metrics"]["ssim"]["direction"] = "lower"
    path.write_text(tomli_w.dumps(facts), encoding="utf-8")
    shift(stem, "ssim", -0.05)
    verdict = check(finished, stem)
    assert {gate.metric for gate in verdict.regressions} == {"ssim"}
    assert verdict.exit_code == 1


def test_means_decide_and_single_images_warn(finished: Results, stem: Path) -> None:
    """One image down and one up by the same: the mean passes, the image is named."""
    edit(stem, lambda line: line | {"psnr": repr(float(line["psnr"]) + (0.5 if line["image"] == "01" else -0.5))})
    verdict = check(finished, stem)
    assert verdict.exit_code == 0
    assert len(verdict.worst) == 4
    assert all(" on 01 (" in line for line in verdict.worst)


def test_infinity_on_both_sides_passes_and_on_one_does_not(finished: Results, stem: Path) -> None:
    """A perfect baseline that is perfect no more has regressed."""
    edit(stem, lambda line: line | ({"psnr": "inf"} if line["method"] == "median" else {}))
    verdict = check(finished, stem)
    assert all(math.isinf(gate.change) for gate in verdict.regressions)
    assert {gate.method for gate in verdict.regressions} == {"median"}


def turn(stem: Path, metric: str) -> None:
    """Make a metric of the baseline one of which less is better."""
    path = stem.with_suffix(".toml")
    facts = tomllib.loads(path.read_text(encoding="utf-8"))
    facts["metrics"][metric]["direction"] = "lower"
    path.write_text(tomli_w.dumps(facts), encoding="utf-8")


@pytest.mark.parametrize(("direction", "before", "state"), [
    ("higher", "inf", "regression"), ("higher", "-inf", "improvement"),
    ("lower", "inf", "improvement"), ("lower", "-inf", "regression"),
])  # fmt: skip
def test_a_cell_that_leaves_infinity_counts_by_the_metrics_direction(
    finished: Results, stem: Path, direction: str, before: str, state: str
) -> None:
    """One cell of a mean that is the same otherwise: for the better it is no failure, for the worse it is named."""
    if direction == "lower":
        turn(stem, "psnr")
    changed = {"method": "median", "image": "01", "noise": "gaussian:sigma=50"}
    edit(stem, lambda line: line | ({"psnr": before} if changed.items() <= line.items() else {}))
    verdict = check(finished, stem)
    cell = "median on 01 (gaussian:sigma=50, seed 0): psnr was"
    assert [line.startswith(cell) for line in verdict.missing] == ([True] if state == "regression" else [])
    assert verdict.exit_code == (state == "regression")
    assert len(verdict.improvements) == len(verdict.notes) == (state == "improvement")
    if state == "improvement":
        assert verdict.notes == ("median (gaussian:sigma=50): psnr became infinitely better in 1 cell, and in no mean",)


@pytest.mark.parametrize(("direction", "after", "state"), [
    ("higher", math.inf, "improvement"), ("higher", -math.inf, "regression"),
    ("lower", math.inf, "regression"), ("lower", -math.inf, "improvement"),
])  # fmt: skip
@pytest.mark.parametrize("before", [30.0, None])
def test_a_cell_that_becomes_infinite_counts_by_the_metrics_direction(
    plugin: Callable[..., Path], tmp_path: Path, direction: str, before: float | None, after: float, state: str
) -> None:
    """From a finite value and from the other infinity: becoming infinitely bad is a failure, infinitely good none."""
    path = plugin(f"""
        @mdnbench.hookimpl
        def mdnbench_metrics():
            score = lambda denoised, clean: float("{after}")
            return [mdnbench.MetricSpec("own", "1", "own", "{direction}", lambda device: score)]
    """)
    run = api.run(methods=["noisy"], sigma=50, dataset="sk12", images=["01"], metrics=["own"], timing=False, jobs=1,
                  plugins=[path])  # fmt: skip
    stem = api.write_baseline(run, tmp_path / "own")
    assert check(run, stem, tolerances={}).exit_code == 0
    edit(stem, lambda line: line | {"own": repr(-after if before is None else before)})
    verdict = check(run, stem, tolerances={})
    assert [gate.state for gate in verdict.gates] == [state]
    assert (verdict.exit_code, len(verdict.missing)) == ((1, 1) if state == "regression" else (0, 0))


def test_infinities_of_both_signs_that_stay_are_a_pass(finished: Results, stem: Path) -> None:
    """Their mean is no number, which is neither an error nor a change."""
    pairs = [(("01", "n", 0, "m"), math.inf, math.inf), (("02", "n", 0, "m"), -math.inf, -math.inf)]
    facts = baselines.facts_of(finished)
    rules = Tolerances(facts, facts, LOOSE)
    assert verdicts._gate(("n", "m", "psnr"), pairs, facts, rules).state == "pass"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("protocol_hash", "00000000", "protocol: 'standard [0-9a-f]{8}' here, 'standard 00000000' in the baseline"),
        ("dataset_digest", "0" * 12, "data set digest"),
        ("noise_info", "withheld", "noise information: 'known' here, 'withheld' in the baseline"),
        ("noises", {"gaussian:sigma=50": "9"}, "revision of noise gaussian:sigma=50"),
    ],
)
def test_what_is_unlike_is_refused_by_name(finished: Results, stem: Path, key: str, value: Any, says: str) -> None:
    """Protocol, data, noise information or revision that differ: nothing is set side by side."""
    path = stem.with_suffix(".toml")
    facts = tomllib.loads(path.read_text(encoding="utf-8"))
    path.write_text(tomli_w.dumps(facts | {key: value}), encoding="utf-8")
    with pytest.raises(UsageError, match=says):
        check(finished, stem)


def test_another_revision_of_a_metric_is_refused(finished: Results, stem: Path) -> None:
    """A metric that means something else is not compared."""
    path = stem.with_suffix(".toml")
    facts = tomllib.loads(path.read_text(encoding="utf-8"))
    facts["metrics"]["psnr"]["revision"] = "9"
    path.write_text(tomli_w.dumps(facts), encoding="utf-8")
    with pytest.raises(UsageError, match="revision of metric psnr"):
        check(finished, stem)


def test_fault_27_nothing_compared_is_never_a_pass(finished: Results, stem: Path) -> None:
    """No cell in common is an error of its own, with exit code 5."""
    edit(stem, lambda line: line | {"noise": line["noise"].replace("gaussian:sigma", "poisson:peak")})
    with pytest.raises(NothingToDo, match=r"0 cells compared.*This is not a pass") as error:
        check(finished, stem)
    assert error.value.exit_code == 5
    edit(stem, lambda line: None)
    with pytest.raises(NothingToDo, match="0 cells compared"):
        check(finished, stem)


def test_a_lost_method_is_a_regression_unless_the_run_is_partial(finished: Results, stem: Path) -> None:
    """A method of the baseline that the run lacks is named once per noise; `partial` lets it go."""
    extra: list[Line] = []
    edit(stem, lambda line: extra.append(line) or line)  # type: ignore[func-returns-value]
    with stem.with_suffix(".csv").open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, extra[0].keys())
        writer.writerows(line | {"method": "bm3d"} for line in extra if line["method"] == "median")
    verdict = check(finished, stem)
    assert verdict.exit_code == 1
    assert sorted(verdict.missing) == [
        "bm3d (gaussian:sigma=25) is in the baseline and not in this run",
        "bm3d (gaussian:sigma=50) is in the baseline and not in this run",
    ]
    assert check(finished, stem, partial=True).exit_code == 0


def test_a_lost_noise_is_a_regression_unless_the_run_is_partial(finished: Results, stem: Path) -> None:
    """A noise of the baseline that the run lacks is named once, not passed over; `partial` lets it go, and says so."""
    extra: list[Line] = []
    edit(stem, lambda line: extra.append(line) or line)  # type: ignore[func-returns-value]
    with stem.with_suffix(".csv").open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, extra[0].keys())
        writer.writerows(line | {"noise": "poisson:peak=30"} for line in extra if line["noise"].endswith("50"))
    verdict = check(finished, stem)
    said = ("poisson:peak=30 is in the baseline and not in this run",)
    assert (verdict.exit_code, verdict.missing) == (1, said)
    verdict = check(finished, stem, partial=True)
    assert (verdict.exit_code, verdict.missing, verdict.notes) == (0, (), said)


def test_fewer_cells_than_the_baseline_is_a_regression(finished: Results, stem: Path) -> None:
    """A seed that the run lacks is missing, cell by cell, also in a partial run."""
    extra: list[Line] = []
    edit(stem, lambda line: extra.append(line) or line)  # type: ignore[func-returns-value]
    with stem.with_suffix(".csv").open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, extra[0].keys())
        writer.writerows(line | {"seed": "1"} for line in extra if line["image"] == "02")
    for partial in (False, True):
        verdict = check(finished, stem, partial=partial)
        assert verdict.exit_code == 1
        assert len(verdict.missing) == 4
        assert "median on 02 (gaussian:sigma=25, seed 1) is in the baseline and not in this run" in verdict.missing


def test_more_than_the_baseline_has_is_no_matter(finished: Results, stem: Path) -> None:
    """A new method, and a noise that the baseline knows nothing of, are not held against the run."""
    edit(stem, lambda line: line if line["method"] == "noisy" and line["noise"].endswith("50") else None)
    verdict = check(finished, stem)
    assert verdict.exit_code == 0
    assert list(states(verdict)) == [("noisy", "50", "psnr"), ("noisy", "50", "ssim")]


def test_a_cell_that_was_ok_and_failed_is_a_regression(
    finished: Results, stem: Path, plugin: Callable[..., Path]
) -> None:
    """The cell is named with what became of it, although the other means are fine; what had failed before is not."""
    path = plugin(
        """
        def build(options, device, weights):
            raise OSError("gone")
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec("own", "1", "own", build)]
        """
    )
    results = api.run(
        methods=["noisy", "own"], sigma=50, dataset="sk12", images=["01", "02"], metrics=["psnr"], timing=False, jobs=1,
        plugins=[str(path)],
    )  # fmt: skip
    edit(stem, lambda line: line | ({"method": "own"} if line["method"] == "median" else {}))
    edit(stem, lambda line: line if line["noise"].endswith("=50") else None)
    verdict = check(results, stem)
    assert verdict.exit_code == 1
    assert len(verdict.missing) == 2
    assert verdict.missing[0].startswith(
        "own on 01 (gaussian:sigma=50, seed 0) was ok and is failed now: OSError: gone"
    )
    edit(stem, lambda line: line | ({"status": "failed"} if line["method"] == "own" else {}))
    assert check(results, stem).exit_code == 0


def test_an_unknown_metric_of_a_tolerance_is_named(finished: Results, stem: Path) -> None:
    """`--tolerance psrn=1` is a mistake, not a tolerance."""
    with pytest.raises(UnknownName, match=r"Did you mean 'psnr'\?"):
        check(finished, stem, tolerances={"psrn": 1.0})

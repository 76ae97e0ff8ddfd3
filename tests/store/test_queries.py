"""Reading runs: cells in their order with their scores, and means that leave out what is not a number."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_records import PROVENANCE, run_facts

from mdnbench import api
from mdnbench.errors import StoreError
from mdnbench.spec.records import Cell, MetricScore, Outcome
from mdnbench.store import RunRow, Store, open_store, queries
from mdnbench.store.facts import RunFacts

CELL = Cell("sk12", "01", "d" * 64, "gaussian:sigma=50", 0, "a", "known", "case", "")
FACTS = run_facts(["a"], ["psnr", "ssim"])


@pytest.fixture
def store(workspace: Path) -> Iterator[Store]:
    """An empty store."""
    found = open_store(workspace / "results.sqlite")
    yield found
    found.close()


def value(metric: str, number: float) -> MetricScore:
    """A score that is ok."""
    return MetricScore(metric, "ok", number)


def run_of(store: Store, outcomes: list[tuple[dict[str, Any], Outcome]], facts: RunFacts = FACTS) -> RunRow:
    """A run whose cells are CELL with these changes, in this order, and came out like this."""
    run = store.start_run("r", len(outcomes), facts)
    with store.transaction():
        for position, (changes, outcome) in enumerate(outcomes):
            cell = dataclasses.replace(CELL, output=f"output-{position}", **changes)
            identity = store.save(cell, outcome, "rule", {"psnr": "1", "ssim": "1"}, PROVENANCE)
            store.add_cells(run, [(position, identity, cell)])
    found = store.run("r")
    assert found is not None
    return found


def test_cells_come_in_the_plans_order_with_their_own_scores(store: Store) -> None:
    """Positions decide, not the order of writing; a cell without scores has none of its neighbour's."""
    outcomes: list[tuple[dict[str, Any], Outcome]] = [
        ({"image": "03"}, Outcome("", "ok", scores=(value("psnr", 3.0),))),
        ({"image": "02"}, Outcome("", "failed", "OSError: gone")),
        ({"image": "01"}, Outcome("", "ok", scores=(value("psnr", 1.0), value("ssim", 0.1)))),
    ]
    rows = list(queries.cells(store, run_of(store, outcomes)))
    assert [(row.image, row.value("psnr"), row.value("ssim")) for row in rows] == [
        ("03", 3.0, None),
        ("02", None, None),
        ("01", 1.0, 0.1),
    ]
    assert (rows[1].status, rows[1].reason) == ("failed", "OSError: gone")


def test_marks_are_what_the_cells_are(store: Store) -> None:
    """Each metric that is asked for has its value, or the status and the reason why not, or nothing at all."""
    skipped = MetricScore("ssim", "skipped", reason="too small")
    outcomes: list[tuple[dict[str, Any], Outcome]] = [
        ({"seed": 1}, Outcome("", "ok", noisy_digest="n", scores=(value("psnr", 3.0), skipped))),
        ({"image": "02"}, Outcome("", "failed", "OSError: gone")),
    ]
    run = run_of(store, outcomes)
    first, second = queries.check_rows(store, run, ["ssim", "psnr", "lpips"])
    assert first.key == ("01", "gaussian:sigma=50", 1, "a")
    assert (first.status, first.reason, first.noisy_digest) == ("ok", "", "n")
    assert first.values == (None, 3.0, None)
    assert first.statuses == ("skipped", "ok", None)
    assert first.reasons == ("too small", "", None)
    assert (second.status, second.reason, second.values) == ("failed", "OSError: gone", (None, None, None))
    assert [mark.key[0] for mark in queries.check_rows(store, run, [])] == ["01", "02"]


def test_means_are_over_ok_cells_alone(store: Store) -> None:
    """What failed, timed out or was invalid has no part in a mean, and is counted with its reason."""
    run = run_of(
        store,
        [
            ({}, Outcome("", "ok", seconds=1.0, scores=(value("psnr", 20.0),))),
            ({}, Outcome("", "ok", seconds=3.0, scores=(value("psnr", 30.0),))),
            ({}, Outcome("", "invalid", "expected finite values", scores=(value("psnr", 99.0),))),
            ({}, Outcome("", "timeout", "no answer")),
        ],
    )
    (row,) = queries.means(store, run)
    assert (row.means, row.counts, row.ok, row.total, row.seconds) == ({"psnr": 25.0}, {"psnr": 2}, 2, 4, 2.0)
    assert row.problems == {"invalid": 1, "timeout": 1}
    assert row.reasons == {"invalid": "expected finite values", "timeout": "no answer"}


def test_infinite_values_are_flagged_and_left_out(store: Store) -> None:
    """One perfect cell does not make a mean infinite; a mean of nothing but perfect cells is none, with a flag."""
    perfect = Outcome("", "ok", scores=(value("psnr", math.inf),))
    good = Outcome("", "ok", scores=(value("psnr", 20.0),))
    (row,) = queries.means(store, run_of(store, [({}, perfect), ({}, good)]))
    assert (row.means, row.infinite) == ({"psnr": 20.0}, {"psnr": 1})
    (row,) = queries.means(store, run_of(store, [({}, perfect), ({}, perfect)]))
    assert (row.means, row.infinite) == ({"psnr": None}, {"psnr": 2})
    assert [each.value("psnr") for each in queries.cells(store, run_of(store, [({}, perfect)]))] == [math.inf]


def test_infinite_values_keep_their_sign(store: Store) -> None:
    """All of one sign are told from all of the other, and from a mix, which has no value of its own."""

    def infinite(*values: float) -> tuple[int, int]:
        outcomes = [({}, Outcome("", "ok", scores=(value("psnr", each),))) for each in values]
        (row,) = queries.means(store, run_of(store, outcomes))
        return row.infinite["psnr"], row.negative.get("psnr", 0)

    assert infinite(math.inf, 1.0, math.inf) == (2, 0)
    assert infinite(-math.inf, 1.0) == (1, 1)
    assert infinite(-math.inf, math.inf) == (2, 1)


def test_a_metric_without_a_value_is_counted_with_its_reason(store: Store) -> None:
    """A metric that failed in an ok cell is left out of the mean, and the row says so."""
    broken = MetricScore("ssim", "failed", None, "OSError: gone")
    run = run_of(
        store,
        [
            ({}, Outcome("", "ok", scores=(value("psnr", 20.0), broken))),
            ({}, Outcome("", "ok", scores=(value("psnr", 20.0), value("ssim", 0.5)))),
        ],
    )
    (row,) = queries.means(store, run)
    assert row.means == {"psnr": 20.0, "ssim": 0.5}
    assert row.unscored == {"ssim": (1, "OSError: gone")}


def test_scores_that_went_wrong_are_counted(store: Store) -> None:
    """A metric that failed, crashed or gave NaN in an ok cell counts; a skipped or absent one does not."""
    statuses: list[Any] = ["failed", "crashed", "invalid", "skipped", "ok"]
    outcomes: list[tuple[dict[str, Any], Outcome]] = [
        ({}, Outcome("", "ok", scores=(value("psnr", 20.0), MetricScore("ssim", status, None, "so"))))
        for status in statuses
    ]
    (row,) = queries.means(store, run_of(store, outcomes))
    assert (row.failed_scores, row.unscored) == (3, {"ssim": (4, "so")})
    (row,) = queries.means(
        store, run_of(store, outcomes, dataclasses.replace(FACTS, unavailable={"ssim": "no backbone"}))
    )
    assert (row.failed_scores, row.unscored) == (0, {"ssim": (4, "so")})


def test_a_run_that_lost_its_name_is_not_read_as_an_empty_one(store: Store) -> None:
    """Its cells are gone, and what stands under its name is another run: reading it says so."""
    good = Outcome("", "ok", scores=(value("psnr", 20.0),))
    run = run_of(store, [({}, good)])
    run_of(store, [({}, good), ({"image": "02"}, good)])
    for read in (queries.cells, queries.means, lambda store, run: queries.check_rows(store, run, ["psnr"])):
        with pytest.raises(StoreError, match="begun later, took the name 'r'"):
            list(read(store, run))


def test_scores_of_another_revision_or_rule_are_not_shown(store: Store) -> None:
    """A run shows the scores of its own rule and revisions, whatever else the store holds of its outputs."""
    outcomes: list[tuple[dict[str, Any], Outcome]] = [({}, Outcome("", "ok", scores=(value("psnr", 20.0),)))]
    for changes in ({"scored_as": {"psnr": "2"}}, {"scoring_rule": "x"}):
        run = run_of(store, outcomes, run_facts(["a"], **changes))
        (row,) = queries.means(store, run)
        assert (row.means, row.ok) == ({}, 1)
        (cell,) = queries.cells(store, run)
        assert cell.value("psnr") is None


def test_rows_are_by_noise_method_and_information(store: Store) -> None:
    """Each noise and method has its row, in the order in which they were planned."""
    groups = [("b", "x", "known"), ("a", "x", "known"), ("b", "y", "known"), ("a", "y", "withheld")]
    good = Outcome("", "ok", scores=(value("psnr", 20.0),))
    run = run_of(store, [({"method": m, "noise": n, "noise_info": i}, good) for m, n, i in groups])
    assert [(row.method, row.noise, row.noise_info) for row in queries.means(store, run)] == groups


def test_two_names_of_one_output_are_two_methods(workspace: Path) -> None:
    """Named weights that are those chosen anyway: each name has its cells, in this run and in one that comes later."""
    asked = {"dataset": "sk12", "images": ["01"], "sigma": [50], "metrics": ["psnr"], "timing": False, "jobs": 1}
    both = api.run(methods=["dncnn", "dncnn[weights=gaussian]"], **asked)
    first, second = both.means
    assert (first.method, second.method) == ("dncnn", "dncnn[weights=gaussian]")
    assert (first.total, second.total) == (1, 1)
    assert first.means == second.means
    assert [row.method for row in both.rows()] == ["dncnn", "dncnn[weights=gaussian]"]
    later = api.run(methods=["dncnn[weights=gaussian]"], **asked)
    assert [row.method for row in later.means] == ["dncnn[weights=gaussian]"]
    assert later.tally is not None
    assert later.tally.computed == 0
    assert api.compare(later, both).families[0].means
    assert api.check_store().problems == ()


def test_means_are_those_of_the_cells(finished: Any) -> None:
    """In a real run, SQLite's means are the means of the cells, and every cell is accounted for."""
    cells = list(finished.rows())
    assert len(cells) == 8
    for row in finished.means:
        mine = [cell for cell in cells if (cell.method, cell.noise) == (row.method, row.noise)]
        assert row.total == row.ok == len(mine) == 2
        for metric, mean in row.means.items():
            assert mean == pytest.approx(statistics.fmean(cell.value(metric) for cell in mine), abs=1e-9)

"""Tables: best first, best and second by what is shown, and nothing left out without a word."""

from __future__ import annotations

import dataclasses
import math
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_records import ENVIRONMENT, run_facts

from mdnbench import api
from mdnbench.errors import Interrupted
from mdnbench.results import grids, tables
from mdnbench.results.table import Table
from mdnbench.store import MeanRow, RunRow
from mdnbench.store.facts import MethodFacts, MetricFacts
from mdnbench.util.listener import Listener

SLOW = """
    import time

    def denoise(noisy, noise):
        time.sleep(0.3)
        return noisy.clone()

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("slow", "1", "slow", lambda options, device, weights: denoise)]
"""
METRICS = {
    "psnr": MetricFacts("higher", "dB", 2, 0.0, {}),
    "lpips": MetricFacts("lower", "", 3, 0.0, {"lpips": "0.1.4"}),
}


class Impatient(Listener):
    """Presses Ctrl-C once the first cells of both methods are there."""

    pressed = False

    def progress(self, phase: str, done: float, doing: Sequence[str] = (), detail: str = "") -> None:
        """Press it once."""
        if phase == "cells" and done >= 14 and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


def run(**changes: Any) -> RunRow:
    """A run with the facts that tables are made from."""
    packages = {"numpy": "2.4", "bm3d": "4.0.3", "lpips": "0.1.4", "scipy": "1"}
    facts = run_facts(
        dataset_digest="d6980c581137", images={"01": "a", "02": "b"}, protocol_hash="1550c611", metric_facts=METRICS,
        noises={}, environment=dataclasses.replace(ENVIRONMENT, mdnbench="0.1.0", packages=packages),
    )  # fmt: skip
    facts = dataclasses.replace(facts, methods={"a": MethodFacts("1", {"bm3d": "4"}, "nothing")})
    return RunRow(1, "r", "", "", 2, dataclasses.replace(facts, **changes))


def row(method: str, psnr: float | None, lpips: float | None = 0.5, **changes: Any) -> MeanRow:
    """A method's means over two cells."""
    fields: dict[str, Any] = {
        "noise": "gaussian:sigma=50", "method": method, "noise_info": "known",
        "means": {"psnr": psnr, "lpips": lpips}, "counts": {}, "infinite": {}, "seconds": 1.0, "ok": 2, "total": 2,
        "problems": {},
    }  # fmt: skip
    return MeanRow(**fields | changes)


def table(*rows: MeanRow, **changes: Any) -> Table:
    """The one table of these rows."""
    (found,) = tables.of_run(run(**changes), rows)
    return found


def marked(found: Table, metric: str, mark: str) -> list[str]:
    """The methods whose means have this mark, from top to bottom."""
    return [method for method, cell in found.column(metric).items() if cell.mark == mark]


def test_columns_say_metric_unit_and_direction() -> None:
    """Arrows tell which way is better; values have the metric's own digits."""
    psnr, lpips = tables.columns_of(run())
    assert (psnr.title, lpips.title) == ("PSNR dB ↑", "LPIPS ↓")
    assert (psnr.show(26.765), lpips.show(0.23749)) == ("26.77", "0.237")
    assert [psnr.show(value) for value in (None, math.inf, -math.inf)] == ["–", "∞", "−∞"]


def test_lines_are_best_first_by_the_first_metric() -> None:
    """The order is the first metric's; what has no mean comes last."""
    found = table(row("low", 20.0), row("none", None, ok=0), row("high", 30.0))
    assert found.names == ("high", "low", "none")
    lower = {"lpips": METRICS["lpips"], "psnr": METRICS["psnr"]}
    found = table(row("a", 20.0, 0.9), row("b", 10.0, 0.1), metric_facts=lower)
    assert found.names == ("b", "a")


def test_best_and_second_follow_each_metrics_direction() -> None:
    """PSNR rewards the highest, LPIPS the lowest."""
    found = table(row("a", 30.0, 0.3), row("b", 29.0, 0.1), row("c", 28.0, 0.2))
    assert [(marked(found, name, "best"), marked(found, name, "second")) for name in ("psnr", "lpips")] == [
        (["a"], ["b"]), (["b"], ["c"]),
    ]  # fmt: skip


def test_what_looks_equal_is_marked_equal() -> None:
    """Two means that are shown alike are both best, and a lone method is not called best at all."""
    found = table(row("a", 30.001), row("b", 30.004), row("c", 29.0))
    assert sorted(marked(found, "psnr", "best")) == ["a", "b"]
    assert marked(found, "psnr", "second") == ["c"]
    assert marked(table(row("alone", 30.0)), "psnr", "") == ["alone"]


def test_only_means_over_every_cell_compete() -> None:
    """What failed on some images, has no score on some, or was perfect on some, stands below the others, unmarked."""
    for part in ({"ok": 1}, {"unscored": {"psnr": (1, "why")}}, {"infinite": {"psnr": 1}}):
        found = table(row("a", 30.0), row("b", 29.0), row("lucky", 40.0, **part))
        assert found.names == ("a", "b", "lucky")
        assert marked(found, "psnr", "best") == ["a"]
        assert marked(found, "psnr", "second") == ["b"]
        assert marked(found, "psnr", "partial") == ["lucky"]
        (grid, _) = grids.of_run(run(), [row("a", 30.0), row("b", 29.0), row("lucky", 40.0, **part)])
        assert marked(grid, "gaussian:50", "best") == ["a"]
    perfect = table(row("a", 30.0), row("perfect", None, infinite={"psnr": 2}))
    assert marked(perfect, "psnr", "best") == ["perfect"]


def test_who_is_told_what_of_the_noise_is_said() -> None:
    """Where methods are told different things; not where all are told the same, or nothing is told."""

    def said(**wants: str) -> list[str]:
        methods = {name: MethodFacts("1", {}, want) for name, want in wants.items()}
        return [note for note in tables.footnotes(run(methods=methods)) if "noise information" in note]

    assert said(a="noise", b="std", c="nothing", d="std") == [
        "noise information: everything to a; its standard deviation to b, d; nothing to c."
    ]
    assert said(a="std", b="std") == []


def test_an_infinite_mean_is_shown_only_where_all_are_infinite() -> None:
    """Two perfect cells are ∞; one of two leaves the finite mean, and a note that says so of it alone."""
    whole = table(row("a", None, infinite={"psnr": 2}))
    assert whole.column("psnr")["a"].value == math.inf
    assert whole.notes == ()
    part = table(row("a", 30.0, infinite={"psnr": 1}))
    assert part.column("psnr")["a"].value == 30.0
    assert part.notes == ("a: PSNR is infinite in 1 cell; the mean leaves them out.",)


def test_infinity_has_a_sign() -> None:
    """Of a metric in dB whose perfect value is −∞ the perfect method is best and shown as such, ∞ is the worst."""
    error = {"error": MetricFacts("lower", "dB", 1, 0.0, {})}

    def of(method: str, mean: float | None, **counts: int) -> MeanRow:
        return row(method, None, means={"error": mean}, **{kind: {"error": count} for kind, count in counts.items()})

    rows = [of("hopeless", None, infinite=2), of("good", -20.0), of("perfect", None, infinite=2, negative=2)]
    found = table(*rows, metric_facts=error)
    assert found.names == ("perfect", "good", "hopeless")
    assert marked(found, "error", "best") == ["perfect"]
    assert [cell.text for cell in found.column("error").values()] == ["−∞", "−20.0", "∞"]
    (grid,) = grids.of_run(run(metric_facts=error), rows)
    assert marked(grid, "gaussian:50", "best") == ["perfect"]


def test_infinities_of_both_signs_have_no_mean() -> None:
    """They cancel in no known way: no mean is shown, none competes, and a note says why."""
    mixed = row("mixed", None, infinite={"psnr": 2}, negative={"psnr": 1})
    found = table(row("a", 30.0), row("b", 29.0), mixed)
    assert not tables.covers(mixed, "psnr")
    assert [(method, cell.value) for method, cell in found.column("psnr").items()][-1] == ("mixed", None)
    assert found.notes == ("mixed: PSNR is infinite in 2 cells, of both signs; there is no mean.",)


def test_missing_cells_are_counted_with_their_reasons() -> None:
    """How many of how many, by status, each with a reason in one line."""
    reasons = {"failed": "OSError: gone\nfor good.", "timeout": "no answer within 8 s."}
    found = table(row("a", 20.0, ok=1, total=4, problems={"failed": 2, "timeout": 1}, reasons=reasons))
    assert found.column("Cells")["a"].text == "1 of 4"
    assert found.notes == (
        "a: 3 of 4 cells are missing (2 failed: OSError: gone for good; 1 timeout: no answer within 8 s).",
    )
    (note,) = table(row("a", 20.0, ok=1, problems={"failed": 1}, reasons={"failed": "x" * 5000})).notes
    assert len(note) < 300


def test_a_metric_without_values_is_told_where_the_column_is_not_empty() -> None:
    """A metric that failed in some cells has a note; one that cannot work here is explained once for all."""
    found = table(row("a", 20.0, None, unscored={"lpips": (1, "OSError: gone")}))
    assert found.notes == ("a: LPIPS has no value in 1 of 2 cells: OSError: gone.",)
    absent = {"lpips": "the backbone is missing; run `mdnbench data fetch lpips`."}
    empty = table(row("a", 20.0, None, unscored={"lpips": (2, absent["lpips"])}), unavailable=absent)
    assert empty.notes == ()
    assert tables.footnotes(run(unavailable=absent)) == (f"LPIPS is empty: {absent['lpips']}",)


def test_each_noise_has_its_table_in_the_runs_order() -> None:
    """One table per noise, none mixed with another."""
    rows = [row("a", 20.0, noise="poisson:peak=30"), row("a", 30.0), row("b", 10.0, noise="poisson:peak=30")]
    found = tables.of_run(run(), rows)
    assert [each.caption for each in found] == ["poisson:peak=30", "gaussian:sigma=50"]
    assert [len(each.rows) for each in found] == [2, 1]


def test_the_heading_holds_what_makes_numbers_comparable() -> None:
    """Data set and digest, protocol and hash, seeds, and the versions of what was used and of nothing else."""
    first, second = tables.heading(run())
    assert first == "data sk12 (d6980c581137), 2 images · protocol standard (1550c611) · 1 seed"
    assert second == "mdnbench 0.1.0 · numpy 2.4 · bm3d 4.0.3 · lpips 0.1.4"
    first, _ = tables.heading(run(seeds=5, noise_info="withheld"))
    assert first.endswith("· 5 seeds · noise information withheld")


def test_a_package_that_only_a_plugin_knows_of_stands_above_the_table_too() -> None:
    """What a method or a metric declares is named with the version that the run had, after the usual packages."""
    packages = {"a": {"bm3d": "4.0.3", "zebra": "2.1"}, "b": {"acme": "1.0", "zebra": "2.1"}}
    methods = {name: MethodFacts("1", versions, "nothing") for name, versions in packages.items()}
    _, second = tables.heading(run(methods=methods))
    assert second == "mdnbench 0.1.0 · numpy 2.4 · bm3d 4.0.3 · lpips 0.1.4 · acme 1.0 · zebra 2.1"


def test_an_interrupted_run_says_what_it_lacks(plugin: Callable[..., Path]) -> None:
    """After Ctrl-C a line counts all cells that were planned, and a note says how many of them are not there."""
    path = plugin(SLOW)
    with pytest.raises(Interrupted):
        api.run(
            methods=["noisy", "slow"], sigma=[25, 50], dataset="sk12", metrics=["psnr"], timing=False, jobs=1,
            out="part", plugins=[path], listener=Impatient(),
        )  # fmt: skip
    found = api.open_run("part")
    done = sum(found.counts.values())
    assert 0 < done < 48
    assert {row.total for row in found.means} == {12}
    counts = {(each.caption, *pair) for each in found.tables for pair in each.column("Cells").items()}
    counts = {(noise, method, cell.text) for noise, method, cell in counts}
    assert any((row.noise, row.method, f"{row.ok} of 12") in counts for row in found.means)
    lacking = [re.search(r"(\d+) of 24 cells were not computed", note) for each in found.tables for note in each.notes]
    assert sum(int(each[1]) for each in lacking if each) == 24 * len(found.tables) - done
    if len(found.tables) == 1:
        assert found.tables[0].notes[-1].startswith("the run was not finished: nothing was computed under gaussian:sig")
    assert "cells were not computed" in (found.folder / "table.md").read_text(encoding="utf-8")


def test_what_was_not_computed_is_told_from_what_failed() -> None:
    """A line with both says how many of each; a finished run says nothing of the kind."""
    rows = [row("a", 20.0, ok=1, total=6, problems={"failed": 2}), row("b", 20.0, ok=6, total=6)]
    methods = {name: MethodFacts("1", {}, "nothing") for name in "abc"}
    found = table(*rows, methods=methods, images=dict.fromkeys("uvwxyz", ""))
    assert found.notes == (
        "a: 5 of 6 cells are missing (2 failed; 3 not computed).",
        "the run was not finished: 9 of 18 cells were not computed, so that means may be over different images.",
    )
    (whole,) = tables.of_run(dataclasses.replace(run(), finished="now"), [row("a", 20.0)])
    assert whole.notes == ()


@pytest.mark.parametrize("unit", ["", "dB"])
def test_a_real_runs_table_is_written_as_markdown(finished: Any, unit: str) -> None:
    """The Markdown of a real run has a table per noise, best bold and second underlined."""
    text = (finished.folder / "table.md").read_text(encoding="utf-8")
    assert text.count("| Method") == 2
    assert text.count("**") == 2 * 2 * 2
    assert text.count("<u>") == 4
    assert f"PSNR {unit}" in text

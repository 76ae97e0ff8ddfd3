"""What a page shows: the pixels that were scored, the hardest first, what failed, printed numbers and timings."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdnbench import api, data, registry
from mdnbench.evaluation import cases
from mdnbench.results import Results
from mdnbench.spec.names import printable
from mdnbench.spec.timings import TimingRecord
from mdnbench.util import jsonfile
from mdnbench_reports import (
    charts,
    claims,
    comparisons,
    latex,
    markdown,
    page,
    pareto,
    scores,
    timings,
)

ROOT = Path(__file__).parents[3]


def test_pictures_are_the_pixels_that_were_scored(whole: Any, finished: Results, decoded: Any) -> None:
    """PSNR computed from the embedded pictures is the PSNR of the table, to all its digits."""
    data = whole.data
    assert len(data["scenes"]) == 4
    for scene in data["scenes"]:
        levels = {source: decoded(whole, number) for source, number in scene["pictures"].items()}
        place = data["places"][scene["noise"]].index(scene["shot"])
        for method in range(len(data["methods"])):
            error = np.mean((levels[str(method)].astype(float) - levels["clean"]) ** 2)
            shown = data["values"][0][scene["noise"]][place * len(data["methods"]) + method]
            assert round(10 * math.log10(255**2 / error), 2) == pytest.approx(shown, abs=1e-9)


def test_noisy_images_are_made_again_to_the_same_bits(
    hostile_page: Any, hostile: Results, nasty: Any, decoded: Any
) -> None:
    """A run without its noisy images shows them nevertheless, clamped and in 8 bits; so does a folder's clean one."""
    data, known = hostile_page.data, registry.load()
    rows = {(row.image, row.method): row for row in hostile.rows()}
    scene = next(scene for scene in data["scenes"] if data["shots"][scene["shot"]][0] == nasty.formula)
    clean = known.datasets["sk12"].load("01")[32:128, :96]
    noise = known.noise("gaussian:25")
    case = cases.make(
        clean.copy(), rows[nasty.formula, nasty.worse].case, noise, known.noises["gaussian"], _unclipped(), "withheld"
    )
    assert case.noisy_digest == rows[nasty.formula, nasty.worse].noisy_digest
    expected = np.rint(np.clip(case.noisy, 0, 1) * 255)
    assert np.array_equal(decoded(hostile_page, scene["pictures"]["noisy"]), expected)
    assert np.array_equal(decoded(hostile_page, scene["pictures"]["clean"]), np.rint(clean * 255))


def test_images_that_are_not_at_hand_are_left_out(hostile_page: Any, nasty: Any) -> None:
    """An image whose clean file is gone still shows outputs, and no clean picture."""
    data = hostile_page.data
    scene = next(scene for scene in data["scenes"] if data["shots"][scene["shot"]][0] == nasty.worse)
    assert "clean" not in scene["pictures"]
    assert len(scene["pictures"]) >= 2


def test_a_run_without_kept_images_says_so(tmp_path: Path, take_apart: Any) -> None:
    """No pictures, no viewer, and a sentence instead."""
    found = api.run(
        methods=["noisy"], noise="gaussian:25", dataset="sk12", images=["01"], metrics=["psnr"], timing=False, jobs=1,
        keep_images="none", workspace_folder=tmp_path,
    )  # fmt: skip
    markup = take_apart(page.render(found, 15 * page.MEBIBYTE))
    assert markup.data["scenes"] == []
    assert "no pictures" in "".join(markup.words)
    assert not [1 for _, attributes in markup.elements if attributes.get("id") == "viewer"]


def test_images_come_hardest_first(whole: Any, finished: Results) -> None:
    """Of each noise the image with the lowest mean over methods is the first, in rows and pictures alike."""
    data = whole.data
    for noise, name in enumerate(data["noises"]):
        cells = finished.cells[finished.cells["noise"] == name]
        expected = cells.groupby("image")["psnr"].mean().sort_values().index.tolist()
        assert [data["shots"][shot][0] for shot in data["places"][noise]] == expected
        shown = [data["shots"][scene["shot"]][0] for scene in data["scenes"] if scene["noise"] == noise]
        assert shown == expected


def test_cells_that_failed_are_told_with_their_reason(hostile_page: Any, nasty: Any) -> None:
    """A failed cell has its status in the data and its reason in a table."""
    assert list(hostile_page.data["problems"].values()) == [["failed", f"ValueError: {nasty.worse}"]]
    text = "".join(hostile_page.words)
    assert "1 cells have no result" in text
    assert f"ValueError: {printable(nasty.worse)}" in text


def test_printed_numbers_stand_beside_the_measured_ones(tmp_path: Path, take_apart: Any) -> None:
    """The page has the published value of an image with its source, numbers set right; Markdown keeps to means."""
    if not data.at_hand(registry.load().datasets["set12"]):
        pytest.skip("Set12 is not at hand")
    found = api.run(
        methods=["bm3d"], noise="gaussian:50", dataset="set12", images=["01"], metrics=["psnr"], timing=False, jobs=1,
        keep_images="none", workspace_folder=tmp_path,
    )  # fmt: skip
    section = claims.of(found)
    assert section is not None
    table = section.tables[0]
    measured = found.means[0].means["psnr"]
    assert measured is not None
    titles = [column.title for column in table.columns]
    row = next(row for row in table.rows if row[titles.index("Image")].text == "01")
    assert row[titles.index("Printed")].text == "26.13"
    change = row[titles.index("Change")]
    assert change.value == pytest.approx(measured - 26.13)
    assert float(change.text.replace("−", "-")) == pytest.approx(measured - 26.13, abs=0.006)
    assert {column.title for column in table.columns if not column.words} == {"Printed", "Measured", "Change"}
    assert any(note.startswith(f"{row[-1].text} ") for note in table.notes), "the source is named below"
    words = take_apart(page.render(found, 15 * page.MEBIBYTE)).words
    assert {"26.13", *table.notes} <= {word.strip() for word in words}
    assert "26.13" not in markdown.text_of(found)


def test_every_condition_that_was_timed_has_its_table(finished: Results, tmp_path: Path) -> None:
    """Of a record over two sizes page, Markdown and LaTeX show both; quality against time takes the first."""
    record = jsonfile.read(ROOT / "reports" / "baselines" / "set12-sigma50.timing.json", "record", TimingRecord)
    group = record.benchmarks[0].group.replace("256×256", "512×512")
    larger = [
        replace(each, group=group, stats=replace(each.stats, median=4 * each.stats.median))
        for each in record.benchmarks
    ]
    jsonfile.write(tmp_path / "timing.json", replace(record, benchmarks=(*record.benchmarks, *larger)))
    found = Results(finished.store, finished.name, tmp_path)
    tables = timings.of(found)
    assert [table.caption.partition(",")[0] for table in tables] == ["256×256", "512×512"]
    medians = [{method: float(cell.text) for method, cell in table.column("ms").items()} for table in tables]
    assert medians[1]["median"] == pytest.approx(4 * medians[0]["median"], rel=0.01)
    clock = pareto.clock_of(found)
    assert clock is not None
    assert clock.seconds["median"] * 1000 == pytest.approx(medians[0]["median"], rel=0.01)
    for text in (markdown.text_of(found), latex.text_of(found), page.render(found, 15 * page.MEBIBYTE)):
        for row in (table.rows[-1] for table in tables):
            assert re.search(rf"\b{row[1].text}\b", text)
    problems = {"median": "no time was left in the budget"}
    jsonfile.write(tmp_path / "timing.json", replace(record, benchmarks=(), problems=problems))
    for text in (markdown.text_of(found), page.render(found, 15 * page.MEBIBYTE)):
        assert "Nothing was timed." in text
        assert "median was not timed: no time was left in the budget" in text
    assert "timing" not in latex.text_of(found)


def test_no_difference_to_a_perfect_method_is_a_number(workspace: Path) -> None:
    """Without noise the noisy image is perfect: the others have a dash where a difference would stand."""
    found = api.run(
        methods=["noisy", "median"], noise="gaussian:0", dataset="sk12", images=["01", "02"], metrics=["psnr"],
        timing=False, jobs=1,
    )  # fmt: skip
    ((means, records, pairs),) = comparisons.of(found)
    assert [cell.text == "∞" for cell in means.column("Mean").values()] == [True, False]
    (difference,) = pairs.column("Difference").values()
    assert (difference.text, difference.value) == ("–", None)
    assert records.column("vs 1")["median"].text == "0/0/2"


def test_no_test_is_shown_that_could_not_have_come_out_otherwise(finished: Results) -> None:
    """Of two images no difference is significant, however large: the page says so in place of a p."""
    found = comparisons.of(finished)
    assert len(found) == 2
    for *_, pairs in found:
        assert {cell.text for cell in pairs.column("p (Holm)").values()} == {"–"}
        assert "no difference, however large, can be significant" in " ".join(pairs.notes)


def test_a_method_that_changes_nothing_is_known(finished: Results) -> None:
    """It is left out of quality against time, where its point would press all others together."""
    assert scores.of(finished).idle == {"noisy"}
    drawn = [each for each in charts.of_run(finished, scores.of(finished)) if each.kind == "pareto"]
    assert [(each.metric, each.noise) for each in drawn] == [
        (metric, table.caption) for table in finished.tables for metric in ("psnr", "ssim")
    ]
    assert all("median" in json.dumps(each.drawing) and "noisy" not in json.dumps(each.drawing) for each in drawn)


def _unclipped() -> Any:
    from mdnbench.evaluation.protocols import ImageRule

    return ImageRule(clamp=False)

"""Published levels in reports: lines across quality against time whose names do not touch, and the table beside it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mdnbench import api, data, registry
from mdnbench.evaluation import protocols
from mdnbench.results import Results
from mdnbench.timing import quality
from mdnbench.util import drawing
from mdnbench_reports import charts, inline_svg, label_placement, latex, markdown, page, published_levels, scores

ROOT = Path(__file__).parents[3]
NOISE = "gaussian:sigma=50"


@pytest.fixture(scope="module")
def on_set12(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two quick methods on the whole of Set12, with a record of their timing."""
    if not data.at_hand(registry.load().datasets["set12"]):
        pytest.skip("Set12 is not at hand")
    folder = tmp_path_factory.mktemp("set12")
    found = api.run(
        methods=["noisy", "median"], noise=["gaussian:50", "mixed"], dataset="set12", metrics=["psnr", "ssim"],
        timing=False, jobs=1, keep_images="none", out="whole", workspace_folder=folder,
    )  # fmt: skip
    record = (ROOT / "reports" / "baselines" / "set12-sigma50.timing.json").read_text(encoding="utf-8")
    (found.folder / "timing.json").write_text(record, encoding="utf-8")
    return found


def texts_of(chart: charts.Chart) -> dict[str, tuple[float, float]]:
    """The texts of a chart as it is drawn for a page, and where they stand in their layer, in pixels."""
    root = ElementTree.fromstring(inline_svg.of(drawing.draw(chart.drawing, "svg"), chart.title))
    found = {}
    for element in root.iter():
        place = re.match(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", ""))
        if element.tag.endswith("text") and element.text and place:
            found[element.text] = (float(place[1]), float(place[2]))
    return found


def pareto_charts(found: Results) -> dict[tuple[str, str], charts.Chart]:
    """Quality against time by metric and noise."""
    drawn = charts.of_run(found, scores.of(found))
    return {(chart.metric, chart.noise): chart for chart in drawn if chart.kind == "pareto"}


def test_published_levels_are_named_in_order_and_apart(on_set12: Results) -> None:
    """Every level of Set12 at sigma 50 is in the plot of PSNR, from high to low, a line's height from the next."""
    expected = quality.published("set12", NOISE, protocols.load("standard").hash)
    assert len(expected) > 8
    drawn = texts_of(pareto_charts(on_set12)["psnr", NOISE])
    names = [f"{line.method} {line.psnr:.2f}" for line in sorted(expected, key=lambda line: -line.psnr)]
    places = [drawn[name] for name in (published_levels.HEADING, *names)]
    assert {x for x, _ in places} == {published_levels.WIDTH + published_levels.LEADER + 3}
    assert all(below - above >= published_levels.GAP - 0.01 for (_, above), (_, below) in pairwise(places))
    assert places[0][1] >= 0
    assert places[-1][1] <= label_placement.HEIGHT
    assert drawn["median"][0] < published_levels.WIDTH


def test_only_what_was_printed_for_the_same_is_a_level(on_set12: Results, finished: Results) -> None:
    """Nothing for another metric, another noise, or a part of a data set."""
    drawn = pareto_charts(on_set12)
    assert set(drawn) == {(metric, noise) for metric in ("psnr", "ssim") for noise in (NOISE, "mixed")}
    others = [chart for key, chart in drawn.items() if key != ("psnr", NOISE)]
    for chart in (*others, *pareto_charts(finished).values()):
        assert published_levels.HEADING not in texts_of(chart)


def test_the_table_says_what_was_not_measured(on_set12: Results) -> None:
    """Page, Markdown and LaTeX have methods with their time and levels without, and name each source."""
    expected = quality.published("set12", NOISE, protocols.load("standard").hash)
    text = markdown.text_of(on_set12)
    table = text.partition(f"Quality against time, {NOISE}")[2].partition("Quality against time, mixed")[0]
    rows = {
        row[0]: row[1:] for row in re.findall(r"^\| (\S+) +\| +(\S+) \| +(\S+) \| +(.*?) *\|$", table, re.MULTILINE)
    }
    for line in expected:
        assert rows[line.method] == (f"{line.psnr:.2f}", "–", "published")
    assert rows["median"][2] == "none is better and faster"
    assert float(rows["median"][1]) > float(rows["noisy"][1])
    shown = page.render(on_set12, 15 * page.MEBIBYTE)
    for whole in (text, latex.text_of(on_set12), shown):
        assert "not measured here" in whole
        assert all(line.method in whole for line in expected)
        assert "cszn/DnCNN README" in whole


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], []),
        ([50.0], [50.0]),
        ([10.0, 60.0], [10.0, 60.0]),
        ([50.0, 50.0, 50.0], [40.0, 50.0, 60.0]),
        ([0.0, 0.0, 90.0], [0.0, 10.0, 90.0]),
        ([98.0, 99.0, 100.0], [80.0, 90.0, 100.0]),
        ([20.0, 24.0, 31.0], [15.0, 25.0, 35.0]),
    ],
)
def test_names_make_room_for_each_other(wanted: list[float], found: list[float]) -> None:
    """Ten pixels apart, in order, inside, and as near to their places as that allows."""
    assert label_placement.spaced(wanted, 10, 100) == pytest.approx(found)


def test_more_names_than_fit_stand_closer() -> None:
    """Where a line's height is too much for all, they share what there is."""
    places = label_placement.spaced([50.0] * 30, 10, 90)
    assert [below - above for above, below in pairwise(places)] == pytest.approx([3.0] * 29)
    assert 0 <= places[0] < places[-1] <= 90

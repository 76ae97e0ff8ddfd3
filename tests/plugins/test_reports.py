"""The reporters: what a page may hold and do, how large it gets, and that every export gives the numbers back."""

from __future__ import annotations

import base64
import copy
import csv
import hashlib
import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import PIL.Image
import pytest

from mdnbench import api, data, registry
from mdnbench.cells import cases
from mdnbench.errors import BadOption, UnknownName, UsageError
from mdnbench.results import Results
from mdnbench_reports import (
    charts,
    claims,
    content,
    gallery,
    latex,
    markdown,
    page,
    pareto,
    parquet,
    safety,
    scenes,
    scores,
    timings,
)

EVIL = "<img src=x onerror=alert(1)>"
WORSE = "</script><script>alert('&\u2028')</script><!--"
FORMULA = "=cmd()"
ROOT = Path(__file__).parents[2]
MEBIBYTE = page.MEBIBYTE


class Markup(HTMLParser):
    """A page taken apart: its elements with their attributes, and the text of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, dict[str, str | None], str]] = []
        self.words: list[str] = []
        self._inside: tuple[str, dict[str, str | None]] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = (tag, dict(attrs))
            self.raw.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or style."""
        if self._inside and tag == self._inside[0]:
            self._inside = None

    def handle_data(self, text: str) -> None:
        """Note text, that of scripts and styles apart."""
        if self._inside:
            tag, attributes, before = self.raw[-1]
            self.raw[-1] = (tag, attributes, before + text)
        else:
            self.words.append(text)

    def script(self, identity: str) -> str:
        """The text of the script element with this id."""
        return next(text for _, attributes, text in self.raw if attributes.get("id") == identity)

    @property
    def data(self) -> Any:
        """The data that the page's script reads."""
        return json.loads(self.script("data"))


@pytest.fixture(scope="module")
def whole(finished: Results) -> Markup:
    """The page of the finished run, taken apart."""
    return Markup(page.render(finished, 15 * MEBIBYTE))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, invent: Callable[..., Results]) -> Results:
    """A run in which everything that can be named has a name that is code somewhere, and one cell failed."""
    load = registry.load().datasets["sk12"].load
    pictures = {name: load("01")[16 * at : 96 + 16 * at, :96].copy() for at, name in enumerate((EVIL, WORSE, FORMULA))}

    def problem(image: str, method: str) -> tuple[str, str] | None:
        return ("failed", f"ValueError: {WORSE}") if (image, method) == (EVIL, EVIL) else None

    methods = [EVIL, WORSE, r"a[x=\input{b}]_$%&#~^{|"]
    return invent(tmp_path_factory.mktemp("hostile"), pictures, methods, ["gaussian:25"], name=WORSE, problem=problem)


@pytest.fixture(scope="module")
def hostile_page(hostile: Results) -> Markup:
    """The page of the hostile run, taken apart."""
    return Markup(page.render(hostile, 15 * MEBIBYTE))


# -- what a page may hold ------------------------------------------------------------------------------------------


def test_names_are_text_and_never_markup(hostile_page: Markup) -> None:
    """No name becomes an element, an attribute that acts, or the end of a script; all are there to be read."""
    assert not [tag for tag, _ in hostile_page.elements if tag in ("img", "iframe", "object", "embed", "base", "form")]
    acting = [name for _, attributes in hostile_page.elements for name in attributes if name.startswith("on")]
    assert acting == []
    scripts = [attributes for tag, attributes, _ in hostile_page.raw if tag == "script"]
    pictures = [each for each in scripts if each.get("type") == "text/plain"]
    assert len(scripts) == len(pictures) + 2
    text = "".join(hostile_page.words)
    assert EVIL in text
    assert WORSE in text
    assert {EVIL, WORSE} <= set(hostile_page.data["methods"])
    assert [EVIL, 0] in hostile_page.data["shots"]


def test_embedded_json_holds_nothing_that_markup_is_made_of() -> None:
    """Angle brackets, ampersands and line separators are escaped, and the text comes back the same."""
    content = {"name": WORSE, "other": "\u2029 ]]> é 🙂"}
    text = safety.embedded_json(content)
    assert not set(text) & set("<>&\u2028\u2029é🙂")
    assert json.loads(text) == content


@pytest.mark.parametrize("which", ["whole", "hostile_page"])
def test_the_policy_allows_this_style_and_this_script_alone(which: str, request: pytest.FixtureRequest) -> None:
    """Everything is forbidden but the style and the script whose digests stand in the policy."""
    found: Markup = request.getfixturevalue(which)
    policies = [attributes["content"] for tag, attributes in found.elements if "http-equiv" in attributes]
    assert len(policies) == 1
    rules = dict(part.strip().split(" ", 1) for part in str(policies[0]).split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in str(policies[0])
    assert "http" not in str(policies[0])
    for kind in ("style", "script"):
        texts = [text for tag, attributes, text in found.raw if tag == kind and "type" not in attributes]
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert rules[f"{kind}-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert not [attributes for _, attributes in found.elements if "style" in attributes], "the policy would refuse it"


@pytest.mark.parametrize("which", ["whole", "hostile_page"])
def test_a_page_names_no_address(which: str, request: pytest.FixtureRequest) -> None:
    """No attribute leads out of the page, and neither style nor script could fetch anything."""
    found: Markup = request.getfixturevalue(which)
    names = ("src", "href", "xlink:href", "action", "poster", "srcset", "data")
    targets = [attributes[name] for _, attributes in found.elements for name in names if name in attributes]
    assert [target for target in targets if not str(target).startswith(("#", "data:,"))] == []
    code = "".join(text for _, attributes, text in found.raw if "type" not in attributes)
    assert not re.findall(r"https?:|url\(|@import|\bfetch\(|XMLHttpRequest|WebSocket|\bimport\(|\beval\(", code)


def test_charts_keep_known_elements_alone(hostile_page: Markup) -> None:
    """What stands inside a chart is drawing; the names in it are labels."""
    tags = [tag for tag, _ in hostile_page.elements]
    assert "svg" in tags
    assert "a" in tags  # of the page itself, none of which leads out
    labels = [attributes.get("aria-label") or "" for tag, attributes in hostile_page.elements if tag == "path"]
    assert any(EVIL in label for label in labels)


# -- what it shows -------------------------------------------------------------------------------------------------


def test_pictures_are_the_pixels_that_were_scored(whole: Markup, finished: Results) -> None:
    """PSNR computed from the embedded pictures is the PSNR of the table, to all its digits."""
    data = whole.data
    assert len(data["scenes"]) == 4
    for scene in data["scenes"]:
        levels = {source: _decoded(whole, number) for source, number in scene["pictures"].items()}
        place = data["places"][scene["noise"]].index(scene["shot"])
        for method in range(len(data["methods"])):
            error = np.mean((levels[str(method)].astype(float) - levels["clean"]) ** 2)
            shown = data["values"][0][scene["noise"]][place * len(data["methods"]) + method]
            assert round(10 * math.log10(255**2 / error), 2) == pytest.approx(shown, abs=1e-9)


def test_noisy_images_are_made_again_to_the_same_bits(hostile_page: Markup, hostile: Results) -> None:
    """A run without its noisy images shows them nevertheless, clamped and in 8 bits; so does a folder's clean one."""
    data, known = hostile_page.data, registry.load()
    rows = {(row.image, row.method): row for row in hostile.rows()}
    scene = next(scene for scene in data["scenes"] if data["shots"][scene["shot"]][0] == FORMULA)
    clean = known.datasets["sk12"].load("01")[32:128, :96]
    noise = known.noise("gaussian:25")
    case = cases.make(
        clean.copy(), rows[FORMULA, WORSE].case, noise, known.noises["gaussian"], _unclipped(), "withheld"
    )
    assert case.noisy_digest == rows[FORMULA, WORSE].noisy_digest
    expected = np.rint(np.clip(case.noisy, 0, 1) * 255)
    assert np.array_equal(_decoded(hostile_page, scene["pictures"]["noisy"]), expected)
    assert np.array_equal(_decoded(hostile_page, scene["pictures"]["clean"]), np.rint(clean * 255))


def test_images_that_are_not_at_hand_are_left_out(hostile_page: Markup) -> None:
    """An image whose clean file is gone still shows outputs, and no clean picture."""
    data = hostile_page.data
    scene = next(scene for scene in data["scenes"] if data["shots"][scene["shot"]][0] == WORSE)
    assert "clean" not in scene["pictures"]
    assert len(scene["pictures"]) >= 2


def test_a_run_without_kept_images_says_so(tmp_path: Path) -> None:
    """No pictures, no viewer, and a sentence instead."""
    found = api.run(
        methods=["noisy"], noise="gaussian:25", dataset="sk12", images=["01"], metrics=["psnr"], timing=False, jobs=1,
        keep_images="none", workspace_folder=tmp_path,
    )  # fmt: skip
    markup = Markup(page.render(found, 15 * MEBIBYTE))
    assert markup.data["scenes"] == []
    assert "no pictures" in "".join(markup.words)
    assert not [1 for _, attributes in markup.elements if attributes.get("id") == "viewer"]


def test_images_come_hardest_first(whole: Markup, finished: Results) -> None:
    """Of each noise the image with the lowest mean over methods is the first, in rows and pictures alike."""
    data = whole.data
    for noise, name in enumerate(data["noises"]):
        cells = finished.cells[finished.cells["noise"] == name]
        expected = cells.groupby("image")["psnr"].mean().sort_values().index.tolist()
        assert [data["shots"][shot][0] for shot in data["places"][noise]] == expected
        shown = [data["shots"][scene["shot"]][0] for scene in data["scenes"] if scene["noise"] == noise]
        assert shown == expected


def test_cells_that_failed_are_told_with_their_reason(hostile_page: Markup) -> None:
    """A failed cell has its status in the data and its reason in a table."""
    assert list(hostile_page.data["problems"].values()) == [["failed", f"ValueError: {WORSE}"]]
    text = "".join(hostile_page.words)
    assert "1 cells have no result" in text
    assert f"ValueError: {WORSE}" in text


def test_printed_numbers_stand_beside_the_measured_ones(tmp_path: Path) -> None:
    """The page has the published value of an image with its source, numbers set right; Markdown keeps to means."""
    if not data.at_hand(registry.load().datasets["set12"]):
        pytest.skip("Set12 is not at hand")
    found = api.run(
        methods=["bm3d"], noise="gaussian:50", dataset="set12", images=["01"], metrics=["psnr"], timing=False, jobs=1,
        keep_images="none", workspace_folder=tmp_path,
    )  # fmt: skip
    section = claims.of(found)
    assert section is not None
    grid = section.grids[0]
    measured = found.means[0].means["psnr"]
    assert measured is not None
    row = next(row for row in grid.rows if row[grid.titles.index("Image")] == "01")
    assert row[grid.titles.index("Printed")] == "26.13"
    assert float(row[grid.titles.index("Change")].replace("−", "-")) == pytest.approx(measured - 26.13, abs=0.006)
    assert {grid.titles[column] for column in grid.numeric} >= {"Printed", "Measured", "Change"}
    assert "Finding" not in {grid.titles[column] for column in grid.numeric}
    assert any(note.startswith(f"{row[-1]} ") for note in grid.notes), "the source is named below"
    words = Markup(page.render(found, 15 * MEBIBYTE)).words
    assert {"26.13", *grid.notes} <= {word.strip() for word in words}
    assert "26.13" not in markdown.text_of(found)


def test_every_condition_that_was_timed_has_its_table(finished: Results, tmp_path: Path) -> None:
    """Of a record over two sizes page, Markdown and LaTeX show both; quality against time takes the first."""
    record = json.loads((ROOT / "reports" / "baselines" / "set12-sigma50.timing.json").read_text(encoding="utf-8"))
    first = record["benchmarks"][0]["group"]
    larger = [copy.deepcopy(each) for each in record["benchmarks"]]
    for each in larger:
        each["group"] = first.replace("256×256", "512×512")
        each["stats"]["median"] *= 4
    both = record | {"benchmarks": [*record["benchmarks"], *larger]}
    (tmp_path / "timing.json").write_text(json.dumps(both), encoding="utf-8")
    found = Results(finished.store, finished.name, tmp_path)
    grids = timings.of(found)
    assert [grid.title.partition(",")[0] for grid in grids] == ["256×256", "512×512"]
    medians = [{row[0]: float(row[1]) for row in grid.rows} for grid in grids]
    assert medians[1]["median"] == pytest.approx(4 * medians[0]["median"], rel=0.01)
    clock = pareto.clock_of(found)
    assert clock is not None
    assert clock.seconds["median"] * 1000 == pytest.approx(medians[0]["median"], rel=0.01)
    for text in (markdown.text_of(found), latex.text_of(found), page.render(found, 15 * MEBIBYTE)):
        for row in (grid.rows[-1] for grid in grids):
            assert re.search(rf"\b{row[1]}\b", text)
    problems = {"median": "no time was left in the budget"}
    (tmp_path / "timing.json").write_text(json.dumps(record | {"benchmarks": [], "problems": problems}))
    for text in (markdown.text_of(found), page.render(found, 15 * MEBIBYTE)):
        assert "Nothing was timed." in text
        assert "median was not timed: no time was left in the budget" in text
    assert "timing" not in latex.text_of(found)


# -- size ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(finished: Results) -> str:
    """The page of the finished run, held to half a MiB."""
    return page.render(finished, MEBIBYTE // 2)


def test_a_page_stays_below_its_size(small: str, whole: Markup) -> None:
    """Below the limit, with the hardest image of each noise whole as long as it fits; with room, all are whole."""
    assert len(small.encode()) <= MEBIBYTE // 2
    assert all(scene["box"] is None for scene in whole.data["scenes"])
    scenes = Markup(small).data["scenes"]
    for noise in (0, 1):
        flags = [scene["box"] is None for scene in scenes if scene["noise"] == noise]
        assert len(flags) == 2
        assert flags == sorted(flags, reverse=True)


@pytest.mark.parametrize("budget", [0, 5_000, 50_000, 300_000, 10**6])
def test_a_gallery_stays_below_its_budget(finished: Results, budget: int) -> None:
    """Whatever the budget, the pictures with their tags take less, and what is left out is counted."""
    found = scores.of(finished)
    listed = scenes.worst_first(finished, found, 100)
    pictures = gallery.fill(listed, scenes.Darkroom(finished), budget)
    assert sum(len(text) + gallery.TAG_BYTES for text in pictures.pictures) <= budget
    assert len(pictures.shown) + pictures.left_out == 4
    assert (len(pictures.shown) == 4) == (budget >= 50_000)


def test_cuts_lie_inside_and_have_their_size(small: str) -> None:
    """A cut's box lies in the image, and its pictures are as large as the box."""
    found = Markup(small)
    cut = [scene for scene in found.data["scenes"] if scene["box"]]
    assert cut
    for scene in cut:
        left, top, width, height = scene["box"]
        assert 0 <= left <= scene["size"][0] - width
        assert 0 <= top <= scene["size"][1] - height
        for number in scene["pictures"].values():
            assert _decoded(found, number).shape == (height, width)


def test_rows_are_bounded_too(finished: Results) -> None:
    """A run of many cells shows the hardest rows, and at least one."""
    found = scores.of(finished)
    assert content.rows_shown(found, 60_000) == 2
    assert content.rows_shown(found, 5) == 1
    assert content.rows_shown(found, 0) == 1


def test_a_page_of_a_huge_run_stays_below_its_size_too(
    invent: Callable[..., Results], whole: Markup, tmp_path: Path
) -> None:
    """Where tables alone would be too large, lines are left out until the page fits, and it says how many."""
    pictures = {"one": registry.load().datasets["sk12"].load("01")[:48, :48].copy()}
    methods = [f"method-{number:02d}" for number in range(12)]
    noises = [f"gaussian:{sigma}" for sigma in range(1, 51)]

    def problem(image: str, method: str) -> tuple[str, str] | None:
        return ("failed", WORSE * 20) if method == methods[0] else None

    found = invent(tmp_path, pictures, methods, noises, problem=problem)
    limit = MEBIBYTE // 4
    text = page.render(found, limit)
    assert len(text.encode()) <= limit
    words = " ".join("".join(Markup(text).words).split())
    assert re.search(r"[1-9]\d* lines of its tables are left out", words)
    assert "lines of its tables are left out" not in "".join(whole.words)
    assert "The 3300 pairs of methods and noises are too many to be tested" in words


def test_large_images_are_cut_where_smaller_ones_after_them_are_whole(
    invent: Callable[..., Results], tmp_path: Path
) -> None:
    """The hardest image is cut when it does not fit whole, the next is whole when it does, and their order stays."""
    load = registry.load().datasets["sk12"].load
    pictures = {"small": load("01")[:64, :64].copy(), "large": load("11")}
    found = invent(tmp_path, pictures, ["one", "other"], ["gaussian:50"])
    each = scores.of(found)
    shown = gallery.fill(scenes.worst_first(found, each, 9), scenes.Darkroom(found), 200_000).shown
    assert [scene.shot for scene in shown] == each.worst_first(0)
    assert {scene.size: scene.box is None for scene in shown} == {(512, 512): False, (64, 64): True}


def test_a_method_that_changes_nothing_is_known(finished: Results) -> None:
    """It is left out of quality against time, where its point would press all others together."""
    assert scores.of(finished).idle == {"noisy"}
    drawn = [each for each in charts.of_run(finished, scores.of(finished)) if each.kind == "pareto"]
    assert [(each.metric, each.noise) for each in drawn] == [
        (metric, table.noise) for table in finished.tables for metric in ("psnr", "ssim")
    ]
    assert all("median" in each.drawing.to_json() and "noisy" not in each.drawing.to_json() for each in drawn)


# -- round trips ---------------------------------------------------------------------------------------------------


def _expected(found: Results) -> dict[tuple[str, str, str], str]:
    """The means by noise, method and metric, at the digits that each metric's facts allow."""
    digits = {name: facts["digits"] for name, facts in found.run.facts["metric_facts"].items()}
    return {
        (row.noise, row.method, metric): f"{mean:.{digits[metric]}f}"
        for row in found.means
        for metric, mean in row.means.items()
        if mean is not None
    }


def test_markdown_gives_its_numbers_back(finished: Results) -> None:
    """Every mean stands in table.md with the digits of its metric, and no more."""
    found, noise = {}, ""
    for line in markdown.text_of(finished).splitlines():
        if line.startswith("## "):
            noise = line[3:].replace("\\", "")
        elif line.startswith("|") and not line.startswith(("|-", "| -", "| Method")):
            method, psnr, ssim, *_ = [re.sub(r"[*\\]|</?u>", "", cell).strip() for cell in line.strip("|").split("|")]
            found |= {(noise, method, "psnr"): psnr, (noise, method, "ssim"): ssim}
    assert found == _expected(finished)


def test_latex_gives_its_numbers_back(finished: Results) -> None:
    """Every mean stands in tables.tex with the digits of its metric; best and second are marked as in the tables."""
    text = latex.text_of(finished)
    noises = re.findall(r"\\multicolumn\{2\}\{c\}\{(.*?)\}", text)
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    found = {}
    for line in body.strip().splitlines():
        method, *cells = [cell.strip() for cell in line.removesuffix(r"\\").split("&")]
        plain = [re.sub(r"\\(?:textbf|underline)\{(.*?)\}", r"\1", cell) for cell in cells]
        names = ((noise, metric) for noise in noises for metric in finished.metrics)
        found |= {(noise, method, metric): value for (noise, metric), value in zip(names, plain, strict=True)}
    assert found == _expected(finished)
    best = {(table.noise, line.method, name) for table in finished.tables for line in table.lines for name in line.best}
    assert text.count(r"\textbf{") == len(best)


def test_latex_takes_names_as_text(hostile: Results) -> None:
    """Nothing in a name is a command: special letters are escaped, braces pair, and rows have their columns."""
    text = latex.text_of(hostile)
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip()
    assert r"\textless{}img src=x onerror=alert(1)\textgreater{}" in body
    assert r"a[x=\textbackslash{}input\{b\}]\_\$\%\&\#\textasciitilde{}\textasciicircum{}\{\textbar{}" in body
    bare = re.sub(r"\\[{}$&#%_\\]", "", text)
    assert bare.count("{") == bare.count("}")
    for line in body.splitlines():
        assert len(re.findall(r"(?<!\\)&", line)) == 1


def test_csv_gives_its_numbers_back(finished: Results, hostile: Results, tmp_path: Path) -> None:
    """cells.csv holds every value to the last bit, and no cell that a spreadsheet would run."""
    api.report(finished, ["csv"], folder=tmp_path / "one")
    with (tmp_path / "one" / "cells.csv").open(encoding="utf-8", newline="") as file:
        read = [(row["image"], row["noise"], row["method"], float(row["psnr"])) for row in csv.DictReader(file)]
    assert read == [(row.image, row.noise, row.method, row.value("psnr")) for row in finished.rows()]
    api.report(hostile, ["csv"], folder=tmp_path / "two")
    with (tmp_path / "two" / "cells.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"].removeprefix("'") for row in rows} == {EVIL, WORSE, FORMULA}
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "@"))]


def test_parquet_gives_its_cells_back(finished: Results, tmp_path: Path) -> None:
    """cells.parquet is the table of cells, types and all."""
    pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    import pandas

    (path,) = api.report(finished, ["parquet"], folder=tmp_path)
    pandas.testing.assert_frame_equal(pandas.read_parquet(path), finished.cells)


def test_parquet_says_what_it_lacks(finished: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow the message names the extra to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"mdnbench\[parquet\]"):
        parquet.write(finished, tmp_path)


def test_json_gives_its_means_back(finished: Results, tmp_path: Path) -> None:
    """run.json holds every mean to the last bit."""
    (path,) = api.report(finished, ["json"], folder=tmp_path)
    means = json.loads(path.read_text(encoding="utf-8"))["means"]
    assert [(each["method"], each["psnr"]) for each in means] == [
        (row.method, row.means["psnr"]) for row in finished.means
    ]


# -- figures, options, imports -------------------------------------------------------------------------------------


def test_every_figure_is_written_in_three_formats(hostile: Results, tmp_path: Path) -> None:
    """A chart is one SVG, one PDF and one PNG, whatever the methods are called; files have plain names."""
    (folder,) = api.report(hostile, ["figures"], folder=tmp_path)
    names = {path.stem for path in folder.iterdir()}
    assert names == {"boxes-psnr-gaussian-25", "pareto-psnr-gaussian-25"}
    for name in names:
        assert ElementTree.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF-")
        with PIL.Image.open(folder / f"{name}.png") as image:
            assert image.width > 600


def test_a_reporter_takes_its_options(finished: Results, tmp_path: Path) -> None:
    """`html[limit=1]` writes a page of at most 1 MiB; an unknown option or a senseless limit is refused."""
    (path,) = api.report(finished, ["html[limit=1]"], folder=tmp_path)
    assert path == tmp_path / "report.html"
    assert path.stat().st_size <= MEBIBYTE
    with pytest.raises(BadOption, match="a number from 1 to 100"):
        api.report(finished, ["html[limit=0]"], folder=tmp_path)
    with pytest.raises(UnknownName):
        api.report(finished, ["html[size=3]"], folder=tmp_path)


OWN = """
def apply(clean, rng, width):
    return clean + (rng.uniform(tuple(clean.shape)) - 0.5) * (width / 255)
def build(options, device, weights):
    return lambda noisy, noise: 0.5 * noisy + 0.25
def write(results, folder):
    path = folder / "names.txt"
    path.write_text(" ".join(row.method for row in results.means))
    return path
@mdnbench.hookimpl
def mdnbench_noises():
    width = mdnbench.Option("width", float, help="the range", minimum=0, maximum=255)
    return [mdnbench.NoiseSpec("uniform", "1", "uniform", apply, lambda width: None, (width,), "y = x + u")]
@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("halved", "1", "half the contrast", build, licence="beerware")]
@mdnbench.hookimpl
def mdnbench_reporters():
    return [mdnbench.ReporterSpec("names", "the methods", write)]
"""


def test_a_plugin_file_brings_reporters_and_what_the_run_used(
    plugin: Callable[..., Path], cli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """`--plugin` finds a reporter in a file, and the page its method's licence and its noise's noisy image."""
    path = plugin(OWN)
    run = ("--methods", "halved", "--noise", "uniform:80", "--dataset", "sk12", "--images", "01", "--metrics", "psnr")
    done = cli("run", "--plugin", path, *run, "--no-timing", "--jobs", 1, "--out", "done", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    without = cli("report", "done", "--to", "names", cwd=tmp_path)
    assert without.returncode == 2
    assert "names" in without.stderr
    done = cli("report", "done", "--to", "names,html", "--plugin", path, "--out", "shown", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shown" / "names.txt").read_text() == "halved"
    found = Markup((tmp_path / "shown" / "report.html").read_text(encoding="utf-8"))
    assert "beerware" in found.words
    assert set(found.data["scenes"][0]["pictures"]) == {"clean", "noisy", "0"}


def test_the_plugin_is_cheap_to_import() -> None:
    """Listing reporters imports neither charts nor templates nor arrays."""
    code = (
        "import sys, mdnbench_reports as r; r.mdnbench_reporters(); "
        "print([n for n in ('altair', 'vl_convert', 'jinja2', 'numpy', 'PIL', 'pandas') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _decoded(found: Markup, number: int) -> np.ndarray[Any, Any]:
    """A picture of a page: uint8 (H, W); gray is stored as equal channels."""
    with PIL.Image.open(io.BytesIO(base64.b64decode(found.script(f"p{number}")))) as image:
        levels = np.asarray(image.convert("RGB"))
    assert (levels == levels[..., :1]).all()
    return levels[..., 0]


def _unclipped() -> Any:
    from mdnbench.protocols import Rule

    return Rule(clamp=False)

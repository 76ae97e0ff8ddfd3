"""The contents of a page's sections, as texts and drawings for its templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from mdnbench.results.table import Table, words
from mdnbench.util import drawing
from mdnbench_reports import charts, inline_svg, page_data

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.store.facts import RunFacts
    from mdnbench_reports.gallery import Gallery
    from mdnbench_reports.scores import Scores

MOST_PROBLEMS = 200

GROUPS = {
    "boxes": ("Distribution over images", "Box: quartiles and median; whiskers: 1.5 interquartile ranges; dots: single "
              "images, or outliers if there are many. Methods by their mean, the best in colour."),
    "pareto": ("Quality against time", "No method is both better and faster than those on the dashed line. What only "
               "gives the noisy image back is left out. Lines across are what papers print for the same images, "
               "noise and protocol, where they do."),
    "heat": ("Methods against noises", "Means. The fainter a square, the further it is from the best method under "
             "that noise."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart in the page.

    Attributes:
        kind: The kind of the chart.
        metric: The metric's name.
        caption: The caption.
        svg: The drawing.

    """

    kind: str
    metric: str
    caption: str
    svg: Any


@dataclass(frozen=True, slots=True)
class ChartGroup:
    """Charts of one kind under a heading, with a note that explains them."""

    title: str
    note: str
    figures: Sequence[Figure]


def lead(found: Scores, facts: RunFacts) -> str:
    """Return a sentence that describes the run."""
    noises = found.noises if len(found.noises) <= 4 else (*found.noises[:3], f"{len(found.noises) - 3} other noises")
    under = " and ".join(filter(None, (", ".join(noises[:-1]), noises[-1]))) if noises else "no noise"
    images = len(facts.images)
    return (
        f"{len(found.methods)} {_plural('method', len(found.methods))} on {images} {_plural('image', images)} "
        f"of {facts.dataset}, under {under}."
    )


def _plural(noun: str, count: int) -> str:
    """Return a noun in the plural unless the count is 1."""
    return noun if count == 1 else f"{noun}s"


def problems(found: Scores) -> Table:
    """Return a table of the first cells without a result, with the reasons."""
    columns = [words(name) for name in ("Noise", "Image", "Method", "Status", "Reason")]
    first = islice(found.problems.items(), MOST_PROBLEMS)
    return Table.of("Cells without a result", columns, [_problem(found, place, problem) for place, problem in first])


def _problem(found: Scores, place: tuple[int, int, int], problem: tuple[str, str]) -> tuple[str, ...]:
    """Return the row of a cell without a result."""
    noise, case, method = place
    image, seed = found.cases[case].image, found.cases[case].seed
    name = f"{image}, seed {seed}" if len({each.seed for each in found.cases}) > 1 else image
    status, reason = problem
    return (found.noises[noise], name, found.methods[method], status, reason[: page_data.LONGEST_REASON])


def chart_groups(results: Results, found: Scores, budget: int) -> tuple[list[ChartGroup], int]:
    """Return the charts by kind, as many as fit into `budget` bytes, and the number of those left out."""
    by_kind: dict[str, list[Figure]] = {}
    left_out = 0
    for chart in charts.of_run(results, found):
        svg = inline_svg.of(drawing.draw(chart.drawing, "svg"), chart.title) if budget > 0 else ""
        budget -= len(svg)
        if budget <= 0:
            left_out += 1
            continue
        caption = chart.noise or chart.title
        # Marking it as safe is correct: inline_svg keeps only known elements and attributes.
        by_kind.setdefault(chart.kind, []).append(Figure(chart.kind, chart.metric, caption, Markup(svg)))
    return [ChartGroup(*GROUPS[kind], by_kind[kind]) for kind in GROUPS if kind in by_kind], left_out


def gallery_notes(pictures: Gallery) -> list[str]:
    """Return notes on the pictures: that there are none, or which were cropped or left out."""
    if not pictures.shown:
        return ["No output of this run was stored, so there are no pictures; --keep-images all stores them."]
    cuts = sum(shown.box is not None for shown in pictures.shown)
    notes = ["Pixels as they were scored, in 8 bits and without loss. Hardest images first."]
    if cuts:
        whole = len(pictures.shown) - cuts
        fit = f"{whole} of {len(pictures.shown)} are whole, the hardest that fit; the others" if whole else "all"
        cut = f"cut to {pictures.side}×{pictures.side} pixels where the methods err most"
        notes.append(f"To keep this file small, {fit} are {cut}. Values next to a crop are of its whole image.")
    if pictures.left_out:
        notes.append(f"{pictures.left_out} more are left out.")
    return notes

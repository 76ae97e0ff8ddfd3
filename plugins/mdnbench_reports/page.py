"""`report.html`: one file that opens offline, with tables, charts and pictures, kept below a size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import tables
from mdnbench.timing import summary
from mdnbench_reports import charts, claims, content, drawing, gallery, provenance, safety, scenes, scores

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench_reports.gallery import Gallery
    from mdnbench_reports.scores import Scores

FOLDER = Path(__file__).parent / "templates"
STYLES = ("base.css", "tables.css", "viewer.css")
SCRIPTS = (
    "core.js", "theme.js", "tables.js", "charts.js", "pixels.js", "view.js", "stage.js", "viewer.js", "matrix.js",
    "start.js",
)  # fmt: skip

MEBIBYTE = 2**20
MARGIN_BYTES = 64 * 1024
BYTES_PER_CELL = 250  # of the whole file: a page of 15 MiB shows up to some 60,000 cells
SHARE_OF_CHARTS = 6
MOST_PROBLEMS = 200
MOST_PICTURES = 15_000

GROUPS = {
    "boxes": ("Distribution over images", "Box: quartiles and median; whiskers: 1.5 interquartile ranges; dots: single "
              "images, or outliers where there are many. Methods by their mean, the best in colour."),
    "pareto": ("Quality against time", "No method is both better and faster than those on the dashed line."),
    "heat": ("Methods against noises", "Means. The fainter a square, the further it is from the best method under "
             "that noise."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart as the page shows it."""

    kind: str
    metric: str
    caption: str
    svg: Any


@dataclass(frozen=True, slots=True)
class Group:
    """Charts of one kind with their heading."""

    title: str
    note: str
    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class Timing:
    """The timing table as texts."""

    heading: str
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]


def write(results: Results, folder: Path, limit: float = 15.0) -> Path:
    """Write `report.html`, of at most `limit` MiB, and return its path."""
    path = folder / "report.html"
    path.write_text(render(results, int(limit * MEBIBYTE)), encoding="utf-8", errors="backslashreplace", newline="\n")
    return path


def render(results: Results, limit: int) -> str:
    """The page of a run, at most `limit` bytes: first all but the pictures, which then take what is left."""
    found = scores.of(results)
    rows = content.rows_shown(found, limit // BYTES_PER_CELL)
    template = _template()
    fixed = _context(results, found, limit) | {"rows_left_out": len(found.shots) - rows}

    def page(pictures: Gallery) -> str:
        data = safety.embedded_json(content.of(found, results.tables, pictures, rows))
        return str(template.render(fixed | _pictures(pictures, data)))

    room = limit - len(page(gallery.Gallery(0)).encode("utf-8", "backslashreplace")) - MARGIN_BYTES
    most = max(1, MOST_PICTURES // max(1, len(found.noises) * (len(found.methods) + 1)))
    listed = scenes.worst_first(results, found, most)
    # A scene also takes some 40 bytes a picture in the page's data.
    return page(gallery.fill(listed, scenes.Darkroom(results, found.noises), max(0, room)))


def _context(results: Results, found: Scores, limit: int) -> dict[str, Any]:
    facts = results.run.facts
    groups, left_out = _charts(results, found, limit // SHARE_OF_CHARTS)
    metrics = dict.fromkeys(figure.metric for group in groups for figure in group.figures)
    problems = list(islice(found.problems.items(), MOST_PROBLEMS))
    return {
        "name": results.name,
        "lead": _lead(found, facts),
        "heading": tables.heading(results.run),
        "environment": facts["environment"],
        "tables": results.tables,
        "footnotes": tables.footnotes(results.run),
        "problems": [_problem(found, place, problem) for place, problem in problems],
        "problem_count": len(found.problems),
        "charts": groups,
        "chart_metrics": [(name, name.upper()) for name in metrics],
        "charts_left_out": left_out,
        "timing": _timing(results),
        "claims": claims.of(results),
        "provenance": provenance.of(results),
    }


def _lead(found: Scores, facts: Mapping[str, Any]) -> str:
    """What the run is, in a sentence."""
    noises = found.noises if len(found.noises) <= 4 else (*found.noises[:3], f"{len(found.noises) - 3} other noises")
    under = " and ".join(filter(None, (", ".join(noises[:-1]), noises[-1]))) if noises else "no noise"
    images = len(facts["images"])
    return (
        f"{len(found.methods)} {_plural('method', len(found.methods))} on {images} {_plural('image', images)} "
        f"of {facts['dataset']}, under {under}."
    )


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _problem(found: Scores, place: tuple[int, int, int], problem: tuple[str, str]) -> tuple[str, ...]:
    noise, shot, method = place
    image, seed = found.shots[shot].image, found.shots[shot].seed
    name = f"{image}, seed {seed}" if len({each.seed for each in found.shots}) > 1 else image
    status, reason = problem
    return (found.noises[noise], name, found.methods[method], status, reason[: content.LONGEST_REASON])


def _charts(results: Results, found: Scores, budget: int) -> tuple[list[Group], int]:
    """The charts by kind, as many as fit into the budget, and how many are left out."""
    from markupsafe import Markup

    by_kind: dict[str, list[Figure]] = {}
    left_out = 0
    for chart in charts.of_run(results, found):
        if budget <= 0:
            left_out += 1
            continue
        svg = drawing.for_page(drawing.draw(chart.drawing, "svg"), chart.title)
        budget -= len(svg)
        caption = chart.noise or chart.title
        # Sound because for_page rebuilds the drawing from known elements and attributes.
        by_kind.setdefault(chart.kind, []).append(Figure(chart.kind, chart.metric, caption, Markup(svg)))
    return [Group(*GROUPS[kind], figures) for kind, figures in by_kind.items()], left_out


def _timing(results: Results) -> Timing | None:
    record = results.timing
    if not record:
        return None
    return Timing(summary.heading(record), summary.TITLES, summary.cells(record), summary.notes(record))


def _pictures(pictures: Gallery, data: str) -> dict[str, Any]:
    from markupsafe import Markup

    return {
        "data": Markup(data),
        "pictures": [Markup(text) for text in pictures.pictures],  # base64
        "gallery_notes": _gallery_notes(pictures),
    }


def _gallery_notes(pictures: Gallery) -> list[str]:
    if not pictures.shown:
        return ["No output of this run was kept, so there are no pictures; --keep-images all keeps them."]
    cuts = sum(shown.box is not None for shown in pictures.shown)
    notes = ["Pixels as they were scored, in 8 bits and without loss. Hardest images first."]
    if cuts:
        whole = {0: "no image is", 1: "the hardest image of each noise is"}.get(
            pictures.whole, f"the {pictures.whole} hardest images of each noise are"
        )
        cut = f"cut to {pictures.side}×{pictures.side} pixels where the methods err most"
        notes.append(f"To keep this file small, {whole} whole; {cuts} others are {cut}.")
    if pictures.left_out:
        notes.append(f"{pictures.left_out} more are left out.")
    return notes


def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style, script = map(_joined, (STYLES, SCRIPTS))
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(FOLDER),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "style": Markup(style),
        "script": Markup(script),
        "policy": safety.policy(style, script),
    }
    return environment.get_template("report.html")


def _joined(files: Sequence[str]) -> str:
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in files)

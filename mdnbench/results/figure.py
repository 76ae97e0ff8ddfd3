"""A figure: one noisy image, what each method made of it, and the square where they differ most."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure  # not pyplot: a figure of ours is nobody's current one, and is shown once

from mdnbench.errors import BadOption, NothingToDo, UnknownName
from mdnbench.results import cuts, tables
from mdnbench.results.pictures import CLEAN, NOISY, Darkroom, Subject
from mdnbench.spec.names import printable

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.cuts import Box
    from mdnbench.results.pictures import Levels
    from mdnbench.store import CellRow

ACROSS = 4  # pictures side by side
INCHES, DPI = 2.4, 100
SHARE = 4  # the detail's side is this part of the image's shorter one
SMALLEST = 24


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture with what stands above it; without levels, why there is none."""

    title: str
    levels: Levels | None = None
    why: str = ""


class PictureFigure(Figure):
    """A matplotlib figure that every notebook shows by itself, whatever backend was chosen."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DPI)
        return buffer.getvalue()


def of(found: Results, *, image: str, noise: str, methods: Sequence[str], seed: int, crop: Box | None) -> PictureFigure:
    """Clean, noisy and every method's output under one noise, each with a detail below it, best method first.

    `crop` is the detail: left, top, width and height in pixels; without one, the square where the outputs are furthest
    from the clean image.
    """
    rows = _rows(found, image, noise, methods, seed)
    panels = list(_panels(found, rows))
    levels = {panel.title: panel.levels for panel in panels if panel.levels is not None}
    if not levels:
        raise NothingToDo(f"there is no picture of image {image!r}: {panels[-1].why or 'nothing is at hand'}.")
    size = next(iter(levels.values())).shape[:2]
    box = _checked(crop, size) if crop else _detail(levels, size)
    return _drawn(f"{found.name} · {image} · {noise}" + (f" · seed {seed}" if seed else ""), panels, box)


def _rows(found: Results, image: str, noise: str, methods: Sequence[str], seed: int) -> list[CellRow]:
    """The cells of one noisy image, in the order of the table."""
    facts = found.run.facts
    if image not in facts["images"]:
        raise UnknownName("image of the run", image, facts["images"])
    if not 0 <= seed < facts["seeds"]:
        raise BadOption(f"seed {seed} is not in the run; it has seeds 0 to {facts['seeds'] - 1}.")
    for method in methods:
        if method not in facts["methods"]:
            raise UnknownName("method in the run", method, facts["methods"])
    table = next(table for table in found.tables if table.caption == noise)
    order = table.names
    chosen = [row for row in found.rows() if (row.image, row.noise, row.seed) == (image, noise, seed)]
    wanted = [row for row in chosen if not methods or row.method in methods]
    return sorted(wanted, key=lambda row: order.index(row.method))


def _panels(found: Results, rows: Sequence[CellRow]) -> Iterator[Panel]:
    darkroom = Darkroom(found)
    subject = next((Subject.of(row) for row in rows if row.noisy_digest), Subject.of(rows[0]))
    for name, pixels in ((CLEAN, darkroom.clean(subject)), (NOISY, darkroom.noisy(subject))):
        ready = None if pixels is None else darkroom.levels(pixels)
        yield Panel(name, ready, "the data set is not at hand")
    for row in rows:
        pixels = darkroom.output(row.output_digest)
        if pixels is not None:
            yield Panel(_title(found, row), darkroom.levels(pixels))
        else:
            yield Panel(_title(found, row), None, row.reason or "this output was not kept")


def _title(found: Results, row: CellRow) -> str:
    """The method, and its value by the first metric that the run has one of."""
    for column in tables.columns_of(found.run):
        if row.value(column.name) is not None:
            return f"{row.method}\n{column.show(row.value(column.name))} {column.unit or column.name.upper()}"
    return f"{row.method}\n{row.status}"


def _detail(levels: dict[str, Levels], size: tuple[int, ...]) -> Box:
    side = max(SMALLEST, min(size) // SHARE)
    return cuts.hardest(levels.get(CLEAN), levels, min(side, *size))


def _checked(crop: Box, size: tuple[int, ...]) -> Box:
    left, top, width, height = crop
    if min(crop) < 0 or not width or not height or left + width > size[1] or top + height > size[0]:
        raise BadOption(
            f"crop {tuple(crop)} is not inside the image; it is left, top, width and height in pixels, and the image "
            f"has {size[1]}x{size[0]}."
        )
    return crop


def _drawn(heading: str, panels: Sequence[Panel], box: Box) -> PictureFigure:
    """Bands of up to four pictures, about as many in each, the whole above and the detail below."""
    bands = -(-len(panels) // ACROSS)
    across = -(-len(panels) // bands)
    figure = PictureFigure(figsize=(across * INCHES, bands * 2.3 * INCHES + 0.4), dpi=DPI, layout="constrained")
    figure.suptitle(_plain(heading), fontsize=10)
    axes = figure.subplots(2 * bands, across, squeeze=False)
    for each in axes.flat:
        each.set_axis_off()
    for index, panel in enumerate(panels):
        band, column = divmod(index, across)
        _draw(axes[2 * band][column], axes[2 * band + 1][column], panel, box)
    return figure


def _draw(whole: Any, detail: Any, panel: Panel, box: Box) -> None:
    whole.set_title(_plain(panel.title), fontsize=9)
    whole.set_anchor("S")  # a wide image stays close to its title and to its detail
    detail.set_anchor("N")
    if panel.levels is None:
        whole.text(0.5, 0.5, _plain(panel.why), ha="center", va="center", wrap=True, fontsize=8)
        return
    from matplotlib.patches import Rectangle

    left, top, width, height = box
    for axis, levels in ((whole, panel.levels), (detail, cuts.cut(panel.levels, box))):
        axis.imshow(levels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    whole.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor="#ffb000", linewidth=1))


def _plain(text: str) -> str:
    """A text that matplotlib takes for no formula and no control character."""
    return "\n".join(printable(line) for line in text.split("\n")).replace("$", r"\$")

"""A figure that compares methods on one noisy image, with a crop where they make the largest errors."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import PIL.Image

from mdnbench.errors import BadOption, NothingToDo, UnknownName
from mdnbench.results import crops, tables
from mdnbench.results.image_source import CLEAN, NOISY, ImageCase, ImageSource
from mdnbench.spec.names import printable
from mdnbench.util import atomic, drawing

if TYPE_CHECKING:
    from mdnbench.results.crops import CropBox
    from mdnbench.results.image_source import Levels
    from mdnbench.results.run_data import RunData
    from mdnbench.store import CellRow
    from mdnbench.util.drawing import VegaLite

ACROSS = 4  # panels in a row
SIDE = 220  # pixels: the width of an image
LONGEST = 32  # letters per line of a reason
SHARE = 4  # the image's shorter side divided by the side of the crop
SMALLEST = 24  # pixels: the smallest side of a crop


@dataclass(frozen=True, slots=True)
class Panel:
    """One image of a figure with its title.

    Attributes:
        title: The text above the image; it may have several lines.
        levels: The image's 8-bit levels, or None if there is no image.
        why: The reason why there is no image.

    """

    title: str
    levels: Levels | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class PictureFigure:
    """A figure, which a notebook displays.

    Attributes:
        chart: The figure as a Vega-Lite specification.
    """

    chart: VegaLite

    def save(self, path: str | Path) -> None:
        """Write the figure as PNG, SVG or PDF, by the file's ending.

        Raises:
            BadOption: The file has another ending.
            OSError: The file cannot be written.
        """
        target = Path(path)
        kind = target.suffix.lower().removeprefix(".")
        if kind not in drawing.KINDS:
            raise BadOption(f"a figure is written as {', '.join(drawing.KINDS)}, not as {target.name!r}.")
        atomic.write_bytes(target, drawing.draw(self.chart, kind))

    def _repr_png_(self) -> bytes:
        """Return the figure as PNG, for a notebook."""
        return drawing.draw(self.chart, "png")


def of(
    found: RunData, *, image: str, noise: str, methods: Sequence[str], seed: int, crop: CropBox | None
) -> PictureFigure:
    """Return a figure of the clean image, the noisy image and the methods' outputs, each with a crop below it.

    Args:
        found: The results of the run.
        image: The id of the image.
        noise: The noise, as its canonical text.
        methods: The methods to show, or all if empty. The best method comes first.
        seed: The number of the noise realisation.
        crop: The crop as left, top, width and height in pixels. Without it, the crop is the square in which the
            outputs differ most from the clean image.

    Raises:
        UnknownName: If the run has no such image or method.
        BadOption: If the run has no such seed, or if the crop is not inside the image.
        NothingToDo: If none of the images is available.

    """
    rows = _rows(found, image, noise, methods, seed)
    panels = list(_panels(found, rows))
    levels = {panel.title: panel.levels for panel in panels if panel.levels is not None}
    if not levels:
        raise NothingToDo(f"there is no picture of image {image!r}: {panels[-1].why or 'no image is available'}.")
    size = next(iter(levels.values())).shape[:2]
    box = _checked(crop, size) if crop else _hardest_crop(levels, size)
    return _drawn(f"{found.name} · {image} · {noise}" + (f" · seed {seed}" if seed else ""), panels, size, box)


def _rows(found: RunData, image: str, noise: str, methods: Sequence[str], seed: int) -> list[CellRow]:
    """Return the cells of one noisy image, in the order of the methods in the table."""
    facts = found.run.facts
    if image not in facts.images:
        raise UnknownName("image of the run", image, facts.images)
    if not 0 <= seed < facts.seeds:
        raise BadOption(f"seed {seed} is not in the run; it has seeds 0 to {facts.seeds - 1}.")
    for method in methods:
        if method not in facts.methods:
            raise UnknownName("method in the run", method, facts.methods)
    table = next(table for table in found.tables if table.caption == noise)
    order = table.names
    chosen = [row for row in found.rows() if (row.image, row.noise, row.seed) == (image, noise, seed)]
    wanted = [row for row in chosen if not methods or row.method in methods]
    return sorted(wanted, key=lambda row: order.index(row.method))


def _panels(found: RunData, rows: Sequence[CellRow]) -> Iterator[Panel]:
    """Yield a panel for the clean image, one for the noisy image and one for each cell."""
    darkroom = ImageSource(found)
    subject = next((ImageCase.of(row) for row in rows if row.noisy_digest), ImageCase.of(rows[0]))
    for name, pixels in ((CLEAN, darkroom.clean(subject)), (NOISY, darkroom.noisy(subject))):
        ready = None if pixels is None else darkroom.levels(pixels)
        yield Panel(name, ready, "the data set is not available")
    for row in rows:
        pixels = darkroom.output(row.output_digest)
        if pixels is not None:
            yield Panel(_title(found, row), darkroom.levels(pixels))
        else:
            yield Panel(_title(found, row), None, row.reason or "this output was not stored")


def _title(found: RunData, row: CellRow) -> str:
    """Return the method's name and its value by the first metric for which the cell has a value, else its status."""
    for column in tables.columns_of(found.run):
        if row.value(column.name) is not None:
            return f"{row.method}\n{column.show(row.value(column.name))} {column.unit or column.name.upper()}"
    return f"{row.method}\n{row.status}"


def _hardest_crop(levels: dict[str, Levels], size: tuple[int, ...]) -> CropBox:
    """Return the square region of the image that the figure shows as its crop.

    Its side is the image's shorter side divided by `SHARE`, but at least `SMALLEST` pixels, and never more than the
    image's height or width.
    """
    side = max(SMALLEST, min(size) // SHARE)
    return crops.hardest(levels.get(CLEAN), levels, min(side, *size))


def _checked(crop: CropBox, size: tuple[int, ...]) -> CropBox:
    """Return a crop unchanged; raise BadOption if it is not inside the image."""
    left, top, width, height = crop
    if min(crop) < 0 or not width or not height or left + width > size[1] or top + height > size[0]:
        raise BadOption(
            f"crop {tuple(crop)} is not inside the image; it is left, top, width and height in pixels, and the image "
            f"has {size[1]}x{size[0]}."
        )
    return crop


def _drawn(heading: str, panels: Sequence[Panel], size: tuple[int, ...], box: CropBox) -> PictureFigure:
    """Return the panels in rows of up to four and of nearly equal length, each image above its crop."""
    bands = -(-len(panels) // ACROSS)
    return PictureFigure(
        {
            "title": {"text": printable(heading), "anchor": "middle", "fontSize": 13},
            "concat": [_panel(panel, size, box) for panel in panels],
            "columns": -(-len(panels) // bands),
            "config": {"padding": 10, "background": "white", "view": {"stroke": None}},
        }
    )


def _panel(panel: Panel, size: tuple[int, ...], box: CropBox) -> VegaLite:
    """Return an image above its crop, with a title, or the reason why there is no image."""
    title = {"text": [printable(line) for line in panel.title.split("\n")], "anchor": "middle", "fontSize": 11}
    if panel.levels is None:
        lines = textwrap.wrap(printable(panel.why), LONGEST)
        return {"title": title, **_mark({"type": "text", "text": lines}, SIDE / 2, SIDE / 2, SIDE)}
    left, top, width, height = (each * SIDE / size[1] for each in box)
    line = {"type": "rect", "filled": False, "stroke": "#ffb000", "strokeWidth": 1.5}
    frame = _mark(line, left, top, SIDE * size[0] / size[1])
    frame["encoding"] |= {"x2": {"value": left + width}, "y2": {"value": top + height}}
    whole = {"title": title, "layer": [_picture(panel.levels), frame]}
    return {"vconcat": [whole, _picture(crops.crop(panel.levels, box))], "spacing": 6}


def _picture(levels: Levels) -> VegaLite:
    """Return an image scaled to the width of a panel, with sharp pixels."""
    height = SIDE * levels.shape[0] / levels.shape[1]
    content = io.BytesIO()
    PIL.Image.fromarray(levels).save(content, "png")
    url = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    image = {"type": "image", "url": url, "width": SIDE, "height": height, "smooth": False}
    return _mark(image, SIDE / 2, height / 2, height)


def _mark(mark: VegaLite, x: float, y: float, height: float) -> VegaLite:
    """Return a chart with a single mark at a position in pixels."""
    place = {"x": {"value": x}, "y": {"value": y}}
    return {"data": drawing.values([{}]), "width": SIDE, "height": height, "mark": mark, "encoding": place}

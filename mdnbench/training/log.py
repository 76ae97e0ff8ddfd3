"""The reports of a training: a CSV file, the progress for the user, and a learning curve at the end."""

from __future__ import annotations

import csv
import dataclasses
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mdnbench.util import atomic, drawing
from mdnbench.util.drawing import VegaLite, number, values

BLUE = "#2563a8"
BESIDE = 4  # how many lines on each side smooth the loss


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """The progress of a training.

    Attributes:
        step: The number of steps done.
        progress: The fraction of the budget that is used up, 0 to 1.
        elapsed_s: The training time so far.
        remaining_s: The remaining time at the present speed.
        lr: The learning rate.
        loss: The mean loss since the last report.
        psnr: The latest validation PSNR in dB; None before the first validation.
        pixels_per_s: The speed since the last report.
        outside: The fraction of the time that was spent outside the network.
    """

    step: int
    progress: float
    elapsed_s: float
    remaining_s: float
    lr: float
    loss: float
    psnr: float | None
    pixels_per_s: float
    outside: float


class CsvLog:
    """A CSV file with one line for each report. A resumed training drops the lines after its checkpoint."""

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        kept = [line for line in read(path) if int(line["step"]) <= step] if path.is_file() and step else []
        names = [field.name for field in dataclasses.fields(TrainingProgress)]
        lines = io.StringIO()
        writer = csv.DictWriter(lines, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        with atomic.below(path.parent), atomic.replacing(path) as part:
            part.write_text(lines.getvalue(), encoding="utf-8", newline="")

    def add(self, progress: TrainingProgress) -> None:
        """Append one line."""
        values = [_cell(value) for value in dataclasses.astuple(progress)]
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(values)
        with atomic.below(self._path.parent):
            atomic.append(self._path, line.getvalue())


def _cell(value: float | None) -> str:
    """Return a number with six digits, but a step with all its digits."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def read(path: Path) -> list[dict[str, str]]:
    """Return the lines of a training's CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return [line for line in csv.DictReader(file) if line.get("outside")]


def draw(path: Path, picture: Path) -> None:
    """Draw loss and validation PSNR over the minutes into a PNG file.

    Raises:
        StoreError: The file cannot be written.
    """
    lines = read(path)
    losses = [float(line["loss"]) for line in lines]
    curve = [
        {"minutes": float(line["elapsed_s"]) / 60, "loss": loss, "smooth": smooth}
        for line, loss, smooth in zip(lines, losses, _smoothed(losses), strict=True)
        if loss > 0 and smooth > 0  # the axis is logarithmic
    ]
    content = drawing.draw(_chart(curve, _validations(lines)), "png")
    with atomic.below(picture.parent), atomic.replacing(picture) as part:
        part.write_bytes(content)


def _chart(curve: list[dict[str, float]], scored: list[dict[str, float]]) -> VegaLite:
    """Return the chart of a training.

    Above is the loss, with a smoothed curve; below are the validations, the last one with its value.
    """
    minutes = number("minutes", title="minutes")
    faint = {"type": "line", "color": BLUE, "opacity": 0.3, "strokeWidth": 1}
    line = {"type": "line", "color": BLUE}
    log = {"type": "log"}
    psnr = number("psnr", title="validation PSNR, dB", scale={"zero": False})
    last = {"x": minutes, "y": psnr, "text": number("psnr", format=".2f")}
    size = {"width": 560, "height": 220}
    losses = {
        "data": values(curve),
        "layer": [
            {"mark": faint, "encoding": {"x": minutes, "y": number("loss", scale=log)}},
            {"mark": line, "encoding": {"x": minutes, "y": number("smooth", scale=log, title="loss")}},
        ],
    }
    validations = {
        "layer": [
            {
                "data": values(scored),
                "mark": {**line, "point": {"color": BLUE}},
                "encoding": {"x": minutes, "y": psnr},
            },
            {"data": values(scored[-1:]), "mark": {"type": "text", "dy": 14}, "encoding": last},
        ],
    }
    return {"vconcat": [{**losses, **size}, {**validations, **size}], "resolve": {"scale": {"x": "shared"}}}


def _smoothed(values: Sequence[float]) -> list[float]:
    """Return the median of each value and its neighbours on both sides, which shows the curve behind the noise."""
    return [statistics.median(values[max(0, at - BESIDE) : at + BESIDE + 1]) for at in range(len(values))]


def _validations(lines: Sequence[dict[str, str]]) -> list[dict[str, float]]:
    """Return the minutes and dB of each validation.

    Each line repeats the latest validation, so equal ones are dropped.
    """
    found: list[dict[str, float]] = []
    for line in lines:
        if line["psnr"] and (not found or float(line["psnr"]) != found[-1]["psnr"]):
            found.append({"minutes": float(line["elapsed_s"]) / 60, "psnr": float(line["psnr"])})
    return found

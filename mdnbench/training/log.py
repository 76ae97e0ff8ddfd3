"""The reports of a training: a CSV file, the progress for the user, and a learning curve at the end."""

from __future__ import annotations

import csv
import dataclasses
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mdnbench.util import atomic

BLUE = "#2563a8"
BESIDE = 4  # how many lines on each side smooth the loss


@dataclass(frozen=True, slots=True)
class Progress:
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
        # Read as a float, because earlier versions wrote millions of steps as 1.23457e+06.
        kept = [line for line in read(path) if float(line["step"]) <= step] if path.is_file() and step else []
        names = [field.name for field in dataclasses.fields(Progress)]
        lines = io.StringIO()
        writer = csv.DictWriter(lines, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        with atomic.below(path.parent), atomic.replacing(path) as part:
            part.write_text(lines.getvalue(), encoding="utf-8", newline="")

    def add(self, progress: Progress) -> None:
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


def draw(path: Path, picture: Path) -> bool:
    """Draw loss and validation PSNR over the minutes into an image file.

    Return False if Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # not pyplot, which would change a notebook's figures
    except ImportError:
        return False
    lines = read(path)
    minutes = [float(line["elapsed_s"]) / 60 for line in lines]
    losses = [float(line["loss"]) for line in lines]
    figure = Figure(figsize=(7, 6), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    above.plot(minutes, losses, color=BLUE, alpha=0.3, linewidth=1)
    above.plot(minutes, _smoothed(losses), color=BLUE)
    above.set(ylabel="loss", yscale="log")
    scored = _validations(lines)
    below.plot([minute for minute, _ in scored], [psnr for _, psnr in scored], "o-", color=BLUE, markersize=4)
    below.set(xlabel="minutes", ylabel="validation PSNR, dB")
    for minute, psnr in scored[-1:]:
        below.annotate(f"{psnr:.2f}", (minute, psnr), (0, -14), textcoords="offset points", ha="center")
    for axes in (above, below):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic.below(picture.parent), atomic.replacing(picture) as part:
        figure.savefig(part, format=picture.suffix.removeprefix("."))
    return True


def _smoothed(values: Sequence[float]) -> list[float]:
    """Return the median of each value and its neighbours on both sides, which shows the curve behind the noise."""
    return [statistics.median(values[max(0, at - BESIDE) : at + BESIDE + 1]) for at in range(len(values))]


def _validations(lines: Sequence[dict[str, str]]) -> list[tuple[float, float]]:
    """Return the minutes and dB of each validation.

    Each line repeats the latest validation, so equal ones are dropped.
    """
    found: list[tuple[float, float]] = []
    for line in lines:
        if line["psnr"] and (not found or float(line["psnr"]) != found[-1][1]):
            found.append((float(line["elapsed_s"]) / 60, float(line["psnr"])))
    return found

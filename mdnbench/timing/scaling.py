"""How time and memory grow with the number of pixels: a power law, fitted by least squares to the logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from mdnbench.results import numbers
from mdnbench.results.table import Column, Table, words
from mdnbench.spec.timings import Benchmark, TimingRecord
from mdnbench.timing.record import usable_benchmarks

FEWEST = 4  # sizes; with fewer, the interval would be too wide to be useful
LEVEL = 0.95
COLUMNS = (
    words("Method"), Column("Sides"), Column("Time exponent", digits=2), Column("95 %"), Column("At the end", digits=2),
    Column("Memory exponent", digits=2), Column("95 %"), Column("At the end", digits=2),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PowerFit:
    """A fit of `value = c * pixels ** exponent`.

    Attributes:
        exponent: The exponent.
        low: The lower end of the exponent's 95 % interval.
        high: The upper end of the interval.
        last: The exponent between the two largest sizes alone, at which fixed costs matter least.

    """

    exponent: float
    low: float
    high: float
    last: float

    @property
    def interval(self) -> str:
        """The interval as text."""
        return numbers.interval(self.low, self.high, 2)


@dataclass(frozen=True, slots=True)
class Scaling:
    """How a method's seconds and memory grow with the size of the image, on a number of threads.

    Attributes:
        method: The method, as its canonical text.
        threads: The number of threads.
        sides: The sides of the images in pixels, from small to large.
        seconds: The median seconds at each side.
        memory_bytes: The peak memory at each side.
        time: The fit of the seconds.
        memory: The fit of the memory; None if the memory at some side was too small to be measured.

    """

    method: str
    threads: int
    sides: tuple[int, ...]
    seconds: tuple[float, ...]
    memory_bytes: tuple[int, ...]
    time: PowerFit
    memory: PowerFit | None


def fit(pixels: Sequence[float], values: Sequence[float]) -> PowerFit:
    """Fit a power law.

    Args:
        pixels: The numbers of pixels, from small to large. There must be at least three.
        values: The positive value for each.

    """
    x, y = [math.log(each) for each in pixels], [math.log(each) for each in values]
    line = stats.linregress(x, y)
    half = float(stats.t.ppf(0.5 + LEVEL / 2, len(x) - 2) * line.stderr)
    slope = float(line.slope)
    return PowerFit(slope, slope - half, slope + half, (y[-1] - y[-2]) / (x[-1] - x[-2]))


def of_record(record: TimingRecord) -> tuple[Scaling, ...]:
    """Return the scaling of each method that was timed at enough sizes, in the record's order."""
    found: dict[tuple[str, int], list[Benchmark]] = {}
    for each in usable_benchmarks(record):
        found.setdefault((each.name, each.extra_info.threads), []).append(each)
    return tuple(_scaling(*key, rows) for key, rows in found.items() if len(rows) >= FEWEST)


def table(found: Sequence[Scaling]) -> Table:
    """Return a table of the exponents, with the slowest growth of time first."""
    rows = map(_row, sorted(found, key=lambda each: each.time.exponent))
    return Table.of("growth with the number of pixels", COLUMNS, rows)


def _scaling(method: str, threads: int, rows: list[Benchmark]) -> Scaling:
    """Return the scaling of a method from its benchmarks."""
    rows = sorted(rows, key=lambda each: each.extra_info.side)
    sides = tuple(each.extra_info.side for each in rows)
    pixels = [float(side) ** 2 for side in sides]
    seconds = tuple(each.stats.median for each in rows)
    held = tuple(each.extra_info.peak_memory_bytes for each in rows)
    return Scaling(
        method, threads, sides, seconds, held, fit(pixels, seconds), fit(pixels, held) if min(held) > 0 else None
    )


def _row(each: Scaling) -> list[str | float | None]:
    """Return the table's row of a method."""
    name = each.method if each.threads == 1 else f"{each.method}, {each.threads} threads"
    return [name, f"{each.sides[0]}–{each.sides[-1]}", *_values(each.time), *_values(each.memory)]


def _values(found: PowerFit | None) -> list[str | float | None]:
    """Return the cells of a fit, which are empty without a fit."""
    return [None] * 3 if found is None else [found.exponent, found.interval, found.last]

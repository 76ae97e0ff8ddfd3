"""How far scores move when the same outputs are scored in another way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdnbench.store import cube

if TYPE_CHECKING:
    from mdnbench.results import Results

Way = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Shift:
    """The mean of a method's kept outputs as the run scored them, and scored in another way.

    `low` and `high` are the smallest and the largest shift of a single output.
    """

    noise: str
    method: str
    metric: str
    way: str
    outputs: int
    as_run: float
    other: float
    low: float
    high: float

    @property
    def shift(self) -> float:
        """The other mean less the run's."""
        return self.other - self.as_run


def shifts_of(found: Results, ways: Sequence[Way]) -> Iterator[Shift]:
    """The shifts of every method under every noise; a way is its name, its rule's digest and its metrics."""
    import numpy as np

    plain = dict.fromkeys(metric.partition("[")[0] for _, _, metrics in ways for metric in metrics)
    before = cube.read(found.store, found.run, plain)
    for name, rule, metrics in ways:
        after = cube.read(found.store, found.run, metrics, rule)
        for metric in metrics:
            old, new = before.values[metric.partition("[")[0]], after.values[metric]
            for place in np.ndindex(old.shape[:2]):
                both = np.isfinite(old[place]) & np.isfinite(new[place])
                if both.any():
                    mine, theirs = old[place][both], new[place][both]
                    yield Shift(
                        before.noises[place[0]], before.methods[place[1]], metric, name, int(both.sum()),
                        float(mine.mean()), float(theirs.mean()), float((theirs - mine).min()),
                        float((theirs - mine).max()),
                    )  # fmt: skip

"""The conditions under which methods are timed: image sizes, threads, rounds, and the time budget for all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from mdnbench.errors import BadOption
from mdnbench.planning import environment

ALL = "all"  # as a number of threads: one per core
SMALLEST, LARGEST = 16, 8192


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of a timing phase. If the budget is too small, it ends the phase early.

    Attributes:
        sizes: The sides of the square images, in pixels.
        threads: The numbers of threads.
        budget_s: The time for the whole phase, in seconds.
        rounds: How many calls of a method are counted at most, for each size and number of threads.
        self_tests: Whether the methods are self-tested.

    """

    sizes: tuple[int, ...] = (256,)
    threads: tuple[int, ...] = (1,)
    budget_s: float = 60.0
    rounds: int = 30
    self_tests: bool = False

    @property
    def several(self) -> bool:
        """Whether a method is timed more than once: at several sizes, or on several numbers of threads."""
        return len(self.sizes) * len(self.threads) > 1


AFTER_RUN = Conditions()


def alone(
    sizes: Sequence[int] = (),
    threads: Sequence[str | int] = (),
    budget_s: float | None = None,
    *,
    scaling: bool = False,
) -> Conditions:
    """Return the conditions of `mdnbench time`.

    Args:
        sizes: The sides of the images in pixels, in place of the usual ones.
        threads: The numbers of threads in place of the usual ones; `all` stands for one per core.
        budget_s: The budget in seconds, in place of the usual one.
        scaling: Whether the usual conditions are those of `--scaling`.

    Raises:
        BadOption: If nothing can be timed under these sizes, threads or budget.

    """
    usual = _scaling() if scaling else _usual()
    asked = dataclasses.replace(
        usual,
        sizes=tuple(sorted(set(sizes))) or usual.sizes,
        threads=tuple(sorted({_count(each) for each in threads})) or usual.threads,
        budget_s=usual.budget_s if budget_s is None else float(budget_s),
    )
    _check(asked)
    return asked


def _usual() -> Conditions:
    """Return the usual conditions of `mdnbench time`."""
    return Conditions((256, 512, 1024), tuple(sorted({1, environment.cores()})), budget_s=600.0, self_tests=True)


def _scaling() -> Conditions:
    """Return the usual conditions of `mdnbench time --scaling`."""
    return Conditions((64, 128, 256, 512, 1024, 2048), budget_s=540.0, rounds=9, self_tests=True)


def _count(asked: str | int) -> int:
    """Return a number of threads from a text or number; raise BadOption if it is neither a number nor `all`."""
    if asked == ALL:
        return environment.cores()
    try:
        return int(asked)
    except ValueError:
        raise BadOption(f"threads {asked!r} is not a number; write numbers and {ALL} by comma: 1,{ALL}.") from None


def _check(asked: Conditions) -> None:
    """Raise BadOption if a size, a number of threads or the budget is not allowed."""
    for side in asked.sizes:
        if not SMALLEST <= side <= LARGEST:
            raise BadOption(f"size {side} is not allowed; it takes sides from {SMALLEST} to {LARGEST} pixels.")
    for count in asked.threads:
        if not 1 <= count <= environment.cores():
            raise BadOption(f"{count} threads are not allowed; this machine takes 1 to {environment.cores()}.")
    if not 0 < asked.budget_s <= 1e6:
        raise BadOption(f"a time budget of {asked.budget_s:g} s is not allowed; it takes more than 0 s.")

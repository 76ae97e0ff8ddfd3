"""The time that a part of the timing phase has, and who is told how it is spent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mdnbench.timing.process import MethodTiming
from mdnbench.util.listener import Listener


@dataclass
class Deadline:
    """The time that there is: everything ends at `end`, or earlier where a person asked to stop."""

    start: float
    end: float
    listener: Listener = field(default_factory=Listener)
    stop: Callable[[], bool] = lambda: False

    def left(self, until: float) -> float:
        """The seconds until then; 0 where it is time to stop."""
        return 0.0 if self.stop() else until - time.monotonic()

    def share(self, share: float) -> float:
        """When this share of the time that is left will be over."""
        return time.monotonic() + share * self.left(self.end)

    def part(self, share: float) -> Deadline:
        """A clock for this share of the time that is left."""
        return replace(self, end=self.share(share))

    def tell(self, timed: MethodTiming, doing: str = "") -> None:
        """Say what is being done."""
        what = f"{timed.side}×{timed.side}" + (f", {timed.threads} threads" if timed.threads > 1 else "")
        detail = f"{what}, {doing}" if doing else what
        self.listener.progress("timing", time.monotonic() - self.start, [timed.method], detail)

"""The time limit of a part of the timing phase, and the reports to the listener during that part."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mdnbench.timing.process import MethodTiming
from mdnbench.util.listener import Listener


@dataclass
class Deadline:
    """The time limit of a part of the timing phase.

    Attributes:
        start: When the timing phase started, in seconds by `time.monotonic`.
        end: When the part must end, by the same clock. It ends earlier if the user stops the run.
        listener: The object that receives the progress.
        stop: A function that returns whether the user has asked to stop.

    """

    start: float
    end: float
    listener: Listener = field(default_factory=Listener)
    stop: Callable[[], bool] = lambda: False

    def left(self, until: float) -> float:
        """Return the seconds until a point of time; 0 if the user has asked to stop."""
        return 0.0 if self.stop() else until - time.monotonic()

    def share(self, share: float) -> float:
        """Return the point of time at which this share of the remaining time will be over."""
        return time.monotonic() + share * self.left(self.end)

    def part(self, share: float) -> Deadline:
        """Return a deadline for this share of the remaining time."""
        return replace(self, end=self.share(share))

    def tell(self, timed: MethodTiming, doing: str = "") -> None:
        """Report to the listener which method is being timed and what is being done."""
        what = f"{timed.side}×{timed.side}" + (f", {timed.threads} threads" if timed.threads > 1 else "")
        detail = f"{what}, {doing}" if doing else what
        self.listener.progress("timing", time.monotonic() - self.start, [timed.method], detail)

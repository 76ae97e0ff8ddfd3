"""Report the progress of a long call. The library never prints; the command line draws progress bars."""

from __future__ import annotations

from collections.abc import Sequence


class Listener:
    """A receiver of progress reports that ignores them all; override the methods of interest."""

    def note(self, text: str) -> None:
        """Receive one line that the user should read now."""

    def begin(self, phase: str, total: float) -> None:
        """Receive the start of a phase (cells, timing, training) and its total number of steps."""

    def progress(self, phase: str, done: float, doing: Sequence[str] = (), detail: str = "") -> None:
        """Receive the number of finished steps of a phase.

        Args:
            phase: The phase.
            done: How many steps are finished.
            doing: The names of the items that are being processed.
            detail: A short text about the state of the work.

        """

    def end(self, phase: str) -> None:
        """Receive the end of a phase."""

"""What a long call tells whoever watches it: the library never prints, the command line draws progress bars."""

from __future__ import annotations

from collections.abc import Sequence


class Listener:
    """Hears nothing by default; override what is of interest."""

    def note(self, text: str) -> None:
        """One line that a person should read now."""

    def begin(self, phase: str, total: float) -> None:
        """A phase (cells, timing, training) begins with so many steps ahead."""

    def progress(self, phase: str, done: float, doing: Sequence[str] = (), detail: str = "") -> None:
        """So many steps of a phase are done; `doing` names what is being worked on, `detail` says how it goes."""

    def end(self, phase: str) -> None:
        """A phase has ended."""

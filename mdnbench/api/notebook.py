"""Progress in a notebook: a bar for each phase below the cell, gone when it is done; notes stay."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence
from typing import Any

from mdnbench.results.render import html
from mdnbench.util.listener import Listener

PAUSE_S = 0.2  # between two drawings: a browser has other work


def listener() -> Listener:
    """A bar where a notebook's kernel runs this, and silence elsewhere."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return Progress() if hasattr(shell, "kernel") else Listener()


class Progress(Listener):
    """Draws what a long call says as HTML, in one output that is drawn anew."""

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._phases: dict[str, tuple[float, float, str]] = {}  # done, total, and what is being worked on
        self._output: Any = None
        self._drawn = 0.0

    def note(self, text: str) -> None:
        """Show a line, and leave it there."""
        self._notes.append(text)
        self._draw()

    def begin(self, phase: str, total: float) -> None:
        """Show an empty bar."""
        self._phases[phase] = (0, total, "")
        self._draw()

    def progress(self, phase: str, done: float, doing: Sequence[str] = (), detail: str = "") -> None:
        """Move the bar, not more often than an eye follows."""
        self._phases[phase] = (done, self._phases[phase][1], " · ".join([*doing, *filter(None, [detail])]))
        if time.monotonic() - self._drawn >= PAUSE_S:
            self._draw()

    def end(self, phase: str) -> None:
        """Take the bar away."""
        self._phases.pop(phase, None)
        self._draw()

    def _draw(self) -> None:
        ipython: Any = importlib.import_module("IPython.display")  # the kernel brings it; it ships no types
        self._drawn = time.monotonic()
        page = ipython.HTML(self._html())
        if self._output is None:
            self._output = ipython.display(page, display_id=True)
        else:
            self._output.update(page)

    def _html(self) -> str:
        bars = [_bar(phase, *state) for phase, state in self._phases.items()]
        parts = [*map(html.paragraph, self._notes), *bars]
        return html.block(parts) if parts else ""


def _bar(phase: str, done: float, total: float, doing: str) -> str:
    said = f"{phase}: {done:.0f} of {total:.0f}" + (f" · {doing}" if doing else "")
    return f'<p><progress value="{done:g}" max="{max(total, 1):g}"></progress> {html.escape(said)}</p>\n'

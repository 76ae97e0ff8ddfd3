"""Show progress in a notebook: a bar for each phase, removed when the phase ends, and notes, which stay."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence
from typing import Any

from mdnbench.results.render import html
from mdnbench.util.listener import Listener

PAUSE_S = 0.2  # between two drawings, to leave the browser time for other work


def listener() -> Listener:
    """Return a listener that draws bars if this runs in a notebook's kernel, or else one that ignores everything."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return Progress() if hasattr(shell, "kernel") else Listener()


class Progress(Listener):
    """A listener that draws progress and notes as HTML, in one output that it replaces."""

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._phases: dict[str, tuple[float, float, str]] = {}  # done, total and current work
        self._output: Any = None
        self._drawn = 0.0

    def note(self, text: str) -> None:
        """Show a note, which stays."""
        self._notes.append(text)
        self._draw()

    def begin(self, phase: str, total: float) -> None:
        """Show an empty bar."""
        self._phases[phase] = (0, total, "")
        self._draw()

    def progress(self, phase: str, done: float, doing: Sequence[str] = (), detail: str = "") -> None:
        """Update the bar, but draw it at most every `PAUSE_S` seconds."""
        self._phases[phase] = (done, self._phases[phase][1], " · ".join([*doing, *filter(None, [detail])]))
        if time.monotonic() - self._drawn >= PAUSE_S:
            self._draw()

    def end(self, phase: str) -> None:
        """Remove the bar."""
        self._phases.pop(phase, None)
        self._draw()

    def _draw(self) -> None:
        ipython: Any = importlib.import_module("IPython.display")  # the kernel provides it; it has no types
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

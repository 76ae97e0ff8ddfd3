"""Show the progress of long calls on stderr: what is done, the remaining time, and what is running."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from mdnbench.spec.names import printable
from mdnbench.util.listener import Listener

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

QUIET_S = 30.0  # between two lines of progress without a terminal
PATIENCE_S = 1.0  # before `waiting` shows anything


@contextmanager
def listener() -> Iterator[Listener]:
    """Provide a listener that draws bars on a terminal, or prints a line from time to time if there is none.

    Meanwhile, everything that plugins print in this process goes to stderr, because stdout is for data.
    """
    with redirect_stdout(sys.stderr):
        console = Console(stderr=True)
        if not console.is_terminal:
            yield _ProgressLines(console)
            return
        bars = _Bars(console)
        try:
            yield bars
        finally:
            bars.close()


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show on a terminal what is running and for how long, after a second, for calls that report no progress."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    )
    shown.add_task(escape(printable(text)), total=None)
    timer = threading.Timer(PATIENCE_S, shown.start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        shown.stop()


class _Bars(Listener):
    """A listener that draws a bar for each phase. It draws and imports nothing before the first phase begins."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def note(self, text: str) -> None:
        self._console.print(printable(text), style="dim", markup=False, highlight=False)

    def begin(self, phase: str, total: float) -> None:
        bars = self._bars()
        self._tasks[phase] = bars.add_task(escape(printable(phase)), total=total, doing="")

    def progress(self, phase: str, done: float, doing: Sequence[str] = (), detail: str = "") -> None:
        said = escape(printable(" · ".join([*doing, *([detail] if detail else [])])))
        self._bars().update(self._tasks[phase], completed=done, doing=said)

    def end(self, phase: str) -> None:
        self._bars().update(self._tasks[phase], doing="", visible=False)

    def close(self) -> None:
        if self._progress:
            self._progress.stop()

    def _bars(self) -> Progress:
        if self._progress is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[doing]}", style="dim"), console=self._console, transient=True,
            )  # fmt: skip
            self._progress.start()
        return self._progress


class _ProgressLines(Listener):
    """A listener for logs: it prints a line for each note, and one every half minute while a phase runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._totals: dict[str, float] = {}
        self._last = time.monotonic()

    def note(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def begin(self, phase: str, total: float) -> None:
        self._totals[phase] = total

    def progress(self, phase: str, done: float, doing: Sequence[str] = (), detail: str = "") -> None:
        if time.monotonic() - self._last >= QUIET_S:
            self._last = time.monotonic()
            self.note(
                " · ".join([f"{phase}: {done:.0f} of {self._totals[phase]:.0f}", *doing, *filter(None, [detail])])
            )

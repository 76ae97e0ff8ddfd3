"""The processes that a bench uses: that of a method, and those of plugins that are not ours. All are watched."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mdnbench.engine import process_tree
from mdnbench.engine.launcher import Launcher, OrderProcess
from mdnbench.engine.method import Denoised, Settings
from mdnbench.engine.orders import OrderFailed, ProcessEnded, ProcessLate
from mdnbench.engine.tasks import Setup
from mdnbench.spec.records import NoiseInfo, Status, UsedFile
from mdnbench.util.limits import MAX_CHILDREN, MAX_GROWN_BYTES, MAX_OPEN_FILES

if TYPE_CHECKING:
    from mdnbench.registry.discovery import PluginSource
    from mdnbench.spec.specs import Image

LOOK_EVERY = 4  # for cells that take less than LOOK_S, because a check of the process takes as long as a small cell
LOOK_S = 0.01


class HeldTooMuch(Exception):
    """A process and its children hold more memory than --memory allows."""


class ProcessLost(Exception):
    """A process that computed for a cell can no longer be used.

    Attributes:
        status: The status of the cell.
        reason: The reason for the cell's status.
    """

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def _ask(
    process: OrderProcess, setup: Setup, watch: Callable[[], None], until: float, order: str, *arguments: Any,
    late: str = "",
) -> Any:  # fmt: skip
    """Return the answer to an order. Raise ProcessLost if the process ends, takes too long or holds too much memory."""
    try:
        return process.ask(order, *arguments, within_s=until - time.monotonic(), watch=watch)
    except ProcessLate:
        late = late or f"no answer within {setup.timeout:g} s (--timeout); its process was ended."
        raise ProcessLost("timeout", late) from None
    except ProcessEnded as error:
        raise ProcessLost("crashed", process.how_it_ended(error)) from None
    except HeldTooMuch as error:
        raise ProcessLost("oom", str(error)) from None


class MethodProcess:
    """The process of one method, as its bench sees it.

    Attributes:
        model: The index of the job whose method it runs.
        used: The files that the process has used so far.
        peak_bytes: The most memory that the process and its children have held.
        worn: Whether the process has grown so much that it should be replaced.
        spoilt_by: The path of a file of the tested data that the process has opened; empty if none.
    """

    def __init__(self, launcher: Launcher, setup: Setup, model: int) -> None:
        self.model = model
        self.used: tuple[UsedFile, ...] = ()
        self.peak_bytes = 0
        self.worn = False
        self.spoilt_by = ""  # the process may remember what it read, so it stays unusable
        self._setup = setup
        self._first_bytes = 0
        self._cells = 0
        folders = tuple({path.parent for path in setup.tested})
        settings = Settings(setup.device, folders, setup.variables, setup.revisions)
        self._process = launcher.launch("mdnbench.engine.method:serve", setup.jobs[model], settings)

    def prepare(self) -> None:
        """Prepare the method on this machine, which has a time limit of its own.

        Raises:
            OrderFailed: The method raised an exception.
            ProcessLost: The process ended, took too long or held too much memory.
        """
        late = f"it was not prepared within {self._setup.prepare_s:g} s; its process was ended."
        _ask(self._process, self._setup, self._watch, time.monotonic() + self._setup.prepare_s, "prepare", late=late)

    def denoise(self, noisy: Image, info: NoiseInfo, seed: int, until: float) -> Denoised:
        """Return the result of denoising an image.

        Args:
            noisy: The noisy image, float32 (H, W) or (H, W, 3).
            info: What the method may know about the noise.
            seed: The seed for the global random number generators.
            until: The time by `time.monotonic()` at which the cell must be done.

        Raises:
            OrderFailed: The method raised an exception.
            ProcessLost: The process ended, took too long or held too much memory.
        """
        denoised: Denoised = _ask(self._process, self._setup, self._watch, until, "denoise", noisy, info, seed)
        if denoised.used is not None:
            self.used = denoised.used
        self._cells += 1
        if self._cells % LOOK_EVERY == 1 or denoised.seconds > LOOK_S:
            self._check_growth()
        return denoised

    def _watch(self) -> None:
        held, most = process_tree.held_bytes(self._process.pid), self._setup.memory_bytes
        self.peak_bytes = max(self.peak_bytes, held)
        if most and held > most:
            raise HeldTooMuch(f"the worker held {held / 2**30:.2f} GiB, over --memory; it was ended.")

    def _check_growth(self) -> None:
        """Note how much memory the process holds after a cell, and whether it has grown so much that it is replaced."""
        pid, most = self._process.pid, self._setup.memory_bytes
        held = process_tree.held_bytes(pid)
        self.peak_bytes = max(self.peak_bytes, held)
        self._first_bytes = self._first_bytes or held
        grown = MAX_GROWN_BYTES if not most else min(MAX_GROWN_BYTES, (most - self._first_bytes) // 2)
        self.worn = (
            held - self._first_bytes > grown
            or process_tree.open_files(pid) > MAX_OPEN_FILES
            or len(process_tree.children(pid)) > MAX_CHILDREN
        )

    def end(self) -> None:
        """End the process and its descendants."""
        self._process.end()


class SourceProcess:
    """The process of a plugin that is not ours."""

    def __init__(self, launcher: Launcher, source: PluginSource, setup: Setup) -> None:
        self._setup = setup
        self._used: tuple[UsedFile, ...] = ()
        settings = Settings("cpu", (), setup.variables, setup.revisions)
        self._process = launcher.launch("mdnbench.engine.source:serve", source, settings)

    def ask(self, order: str, *arguments: Any, until: float) -> Any:
        """Return the answer to an order.

        Raises:
            OrderFailed: The plugin raised an exception.
            ProcessLost: The process ended, took too long or held too much memory.
        """
        return _ask(self._process, self._setup, self._watch, until, order, *arguments)

    def used(self) -> tuple[UsedFile, ...]:
        """Return the files that the process has used so far, as far as it still answers."""
        try:
            news = self._process.ask("used", within_s=self._setup.timeout)
        except (OrderFailed, ProcessLate, ProcessEnded):
            news = None
        if news is not None:
            self._used = news
        return self._used

    def _watch(self) -> None:
        held, most = process_tree.held_bytes(self._process.pid), self._setup.memory_bytes
        if most and held > most:
            raise HeldTooMuch(f"the worker held {held / 2**30:.2f} GiB, over --memory; it was ended.")

    def end(self) -> None:
        """End the process and its descendants."""
        self._process.end()

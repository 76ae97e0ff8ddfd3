"""The timing phase: one fresh process per method, then rounds that go over all methods in turn until time is up."""

from __future__ import annotations

import multiprocessing
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mdnbench.engine.tasks import Setup
from mdnbench.listener import Listener
from mdnbench.timing import probe
from mdnbench.timing.probe import Loaded

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.records import NoiseInfo
    from mdnbench.specs import Image

BUDGET_S = 60.0
MAX_ROUNDS = 30
ONE_ROUND_S = 30.0
TURN_S = 0.25
AT_ONCE = 12


@dataclass
class Timed:
    """What was measured of one method: seconds of every steady call, or why there are none."""

    method: str
    loaded: Loaded | None = None
    seconds: list[float] = field(default_factory=list)
    problem: str = ""

    @property
    def expected_s(self) -> float:
        """The seconds that the next call is likely to take."""
        return min(self.seconds) if self.seconds else self.loaded.first_call_s if self.loaded else 0.0


@dataclass
class _Process:
    job: int
    timed: Timed
    connection: Connection
    process: Any

    def ask(self, *order: object, within_s: float) -> Any:
        """Send an order and wait for the answer; None when it failed, died or took too long."""
        try:
            self.connection.send(order)
            if self.connection.poll(max(0.0, within_s)):
                answer = self.connection.recv()
                if not isinstance(answer, str):
                    return answer
                self.timed.problem = answer
            else:
                self.timed.problem = self.timed.problem or "no time was left in the budget"
        except (EOFError, OSError):
            self.timed.problem = "its process died"
        return None

    def end(self) -> None:
        from mdnbench.engine import family

        family.end(self.process.pid)
        self.process.join()
        self.connection.close()


def measure(
    setup: Setup, noisy: Image, info: NoiseInfo, *, budget_s: float = BUDGET_S, listener: Listener | None = None
) -> list[Timed]:
    """Time every job of the set-up on one noisy image, within the budget in all.

    The call after the first is the warm-up; where one call takes over 30 s, the first is the only round.
    """
    listener = listener or Listener()
    listener.begin("timing", budget_s)
    start = time.monotonic()
    timed: list[Timed] = []
    jobs = list(range(len(setup.jobs)))
    groups = [jobs[first : first + AT_ONCE] for first in range(0, len(jobs), AT_ONCE)]
    for number, group in enumerate(groups, start=1):
        end = start + budget_s * number / len(groups)
        timed += _measure_group(setup, group, noisy, info, start, end, listener)
    listener.end("timing")
    return timed


def _measure_group(
    setup: Setup, group: list[int], noisy: Image, info: NoiseInfo, start: float, end: float, listener: Listener
) -> list[Timed]:
    processes = [_launch(setup, job, noisy, info) for job in group]
    try:
        for each in processes:
            if not each.connection.poll(max(0.0, end - time.monotonic())) or each.connection.recv() != "ready":
                each.timed.problem = "its process did not start in time"
        for each in processes:
            listener.progress("timing", time.monotonic() - start, [each.timed.method], "loading")
            if not each.timed.problem:
                each.timed.loaded = each.ask("load", within_s=end - time.monotonic())
        _rounds([each for each in processes if each.timed.loaded], start, end, listener)
    except EOFError:
        pass
    finally:
        for each in processes:
            each.end()
    return [each.timed for each in processes]


def _rounds(processes: list[_Process], start: float, end: float, listener: Listener) -> None:
    """Rounds in random order until each method has its rounds or none fits into the time that is left."""
    order = random.Random(0)
    for each in processes:
        if each.timed.loaded and each.timed.loaded.first_call_s > ONE_ROUND_S:
            each.timed.seconds.append(each.timed.loaded.first_call_s)
        elif each.timed.expected_s < end - time.monotonic():
            each.ask("call", 1, within_s=end - time.monotonic())  # warm-up
    alive = [each for each in processes if not each.timed.seconds]
    while alive := [each for each in alive if _fits(each.timed, end)]:
        for each in order.sample(alive, len(alive)):
            if _fits(each.timed, end):
                listener.progress("timing", time.monotonic() - start, [each.timed.method])
                count = max(
                    1, min(MAX_ROUNDS - len(each.timed.seconds), int(TURN_S / max(each.timed.expected_s, 1e-4)))
                )
                each.timed.seconds += each.ask("call", count, within_s=end - time.monotonic()) or []
    for each in processes:
        if not each.timed.seconds and each.timed.loaded:
            each.timed.seconds.append(each.timed.loaded.first_call_s)


def _fits(timed: Timed, end: float) -> bool:
    ready = not timed.problem and len(timed.seconds) < MAX_ROUNDS
    return ready and time.monotonic() + 1.2 * timed.expected_s < end


def _launch(setup: Setup, job: int, noisy: Image, info: NoiseInfo) -> _Process:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=probe.serve, args=(there, setup, job, noisy, info), daemon=True)
    process.start()
    there.close()
    return _Process(job, Timed(setup.jobs[job].method.text), here, process)

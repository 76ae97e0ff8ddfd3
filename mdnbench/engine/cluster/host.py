"""The inside of a Dask worker: it keeps what it was sent, and hosts the local engine's own slots, which do the work.

A host lives as long as the coordinator holds on to its anchor, the result of `begin`: Dask drops it when the
coordinator lets go of it, or is gone, however that happened.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from dataclasses import dataclass, field
from multiprocessing import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.engine import launching
from mdnbench.engine.cluster import freight
from mdnbench.engine.cluster.passport import Passport
from mdnbench.engine.local import LocalEngine
from mdnbench.engine.schedule import JobQueue, Schedule
from mdnbench.engine.tasks import Setup, Task
from mdnbench.spec.records import Outcome
from mdnbench.util import digests, paths
from mdnbench.util.stopping import Stop

if TYPE_CHECKING:
    from distributed import Worker

ANCHOR_S = 1.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to do in a run: the set-up as it travels, and the metrics."""

    setup: Setup
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of some tasks, in their order; None for those that the host gave up when it closed."""

    outcomes: tuple[Outcome | None, ...]
    peak_bytes: int


@dataclass
class Host:
    """What a Dask worker holds for one run: a folder, and one local engine of a single slot for each of its threads."""

    folder: Path
    setup: Setup
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        self._engines: dict[int, LocalEngine] = {}

    def inspect(self, metrics: tuple[str, ...]) -> Passport:
        """Return the passport of this machine, found out in a process that ends with it: it imports all plugins."""
        process = launching.shared().launch("mdnbench.engine.cluster.passport:serve")
        try:
            shown: Passport = process.ask("inspect", self.setup, metrics, within_s=launching.START_S)
        finally:
            process.end()
        return shown

    def engine(self, number: int) -> LocalEngine:
        """The engine of a thread, which keeps its slot and the model in it."""
        if number not in self._engines:
            self._engines[number] = LocalEngine(self.setup, 1)
        return self._engines[number]

    def work(self, number: int, tasks: list[Task]) -> Reply:
        """Compute tasks, as the local engine does."""
        engine = self.engine(number)
        jobs = dict.fromkeys(task.job for task in tasks)
        queues = (JobQueue(job, iter([task for task in tasks if task.job == job]), 0) for job in jobs)
        found: dict[int, Outcome] = {}
        for batch in engine.work(Schedule(queues), self.stop):
            found |= {task.position: outcome for task, outcome in batch}
        return Reply(tuple(found.get(task.position) for task in tasks), engine.peak_bytes())

    def close(self) -> None:
        """End every worker process at once, and remove what was sent."""
        self.stop.requested = True
        for engine in self._engines.values():
            engine.close(at_once=True)
        shutil.rmtree(self.folder, ignore_errors=True)


_hosts: dict[str, Host] = {}


def receive(run: str, name: str, start: int, part: bytes, digest: str, dask_worker: Worker) -> None:
    """Write a part of a file into the run's folder; with its digest, the file is whole and takes its name."""
    path = _folder(dask_worker, run) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.part")
    if not start:
        fresh.unlink(missing_ok=True)
    with fresh.open("ab") as file:
        file.write(part)
    if digest:
        if digests.of_file(fresh) != digest:
            raise OSError(f"{name} did not arrive as it was sent")
        fresh.replace(path)


def begin(run: str, order: Order) -> Passport:
    """Make ready for a run, and show the passport of this machine."""
    from distributed import get_worker

    dask_worker = get_worker()
    folder = _folder(dask_worker, run)
    folder.mkdir(parents=True, exist_ok=True)
    setup = freight.settled(order.setup, folder, _variables(folder))
    host = _hosts[run] = Host(folder, setup)
    anchor = dask_worker.get_current_task()
    threading.Thread(target=_hold, args=(run, dask_worker, anchor), daemon=True).start()
    try:
        shown = host.inspect(order.metrics)
    except Exception as error:  # a process that does not start, a missing package: this worker is no use
        return Passport({}, None, (f"a worker process did not start there: {type(error).__name__}: {error}",))
    return shown


def work(run: str, number: int, tasks: tuple[Task, ...]) -> Reply | None:
    """Compute tasks; None where this run is not known here, as after a restart."""
    host = _hosts.get(run)
    if host is None:
        return None
    return host.work(number, [freight.settled_task(task, host.folder) for task in tasks])


def end(run: str) -> None:
    """Close the host of a run, if it is still open."""
    if host := _hosts.pop(run, None):
        host.close()


def _end_all() -> None:
    """Close all hosts: a Dask worker that ends, and is not killed, would end its children but not what they started."""
    for run in list(_hosts):
        end(run)


util.Finalize(None, _end_all, exitpriority=10)  # ahead of what multiprocessing itself does at the end


def deafen() -> None:
    """Ignore Ctrl-C, which a terminal sends to every process of the group: the coordinator decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


async def dask_setup(worker: Worker) -> None:
    """Called by Dask in the workers of a cluster of our own, which preload this module."""
    deafen()


def _hold(run: str, dask_worker: Worker, anchor: Any) -> None:
    """Wait until the coordinator lets go of the anchor, or is gone; then close the host."""
    while anchor in dask_worker.state.tasks:
        time.sleep(ANCHOR_S)
    end(run)


def _folder(dask_worker: Worker, run: str) -> Path:
    return Path(dask_worker.local_directory) / f"mdnbench-{run}"


def _variables(folder: Path) -> dict[str, str]:
    """The environment of the worker processes: plugins are those that were sent; data may be this machine's own."""
    data = map(str, [folder / freight.DATA, *paths.data_folders(), paths.home()])
    return {
        "MDNBENCH_PLUGINS": str(folder / freight.PLUGINS),
        "MDNBENCH_DATA_PATH": os.pathsep.join(data),
        "MDNBENCH_HOME": str(folder / freight.HOME),
        "MDNBENCH_OFFLINE": "1",
    }

"""The code that runs inside a Dask worker: it stores the files that were sent, and computes tasks in local slots.

A host lives as long as the coordinator refers to its anchor, the result of `begin`. Dask drops that result when the
coordinator releases it or is gone for any reason.
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

from mdnbench.engine import launcher
from mdnbench.engine.dask import transfer
from mdnbench.engine.dask.fingerprint import Fingerprint
from mdnbench.engine.local import LocalEngine
from mdnbench.engine.schedule import JobQueue, Schedule
from mdnbench.engine.tasks import Setup, Task
from mdnbench.spec.records import Outcome
from mdnbench.util import digests, paths
from mdnbench.util.interrupts import Stop
from mdnbench.util.limits import PROCESS_START_S

if TYPE_CHECKING:
    from distributed import Worker

ANCHOR_S = 1.0


@dataclass(frozen=True, slots=True)
class HostSetup:
    """What a worker has to prepare for a run: the set-up with relative paths, and the names of the metrics."""

    setup: Setup
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcomes of some tasks, in the order of the tasks, and the most memory that a worker process has held.

    An outcome is None if the host closed before the task was done.
    """

    outcomes: tuple[Outcome | None, ...]
    peak_bytes: int


@dataclass
class Host:
    """The part of a run that one Dask worker hosts.

    It has a folder, and a local engine with a single slot for each of the worker's threads.
    """

    folder: Path
    setup: Setup
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        self._engines: dict[int, LocalEngine] = {}

    def inspect(self, metrics: tuple[str, ...]) -> Fingerprint:
        """Return the fingerprint of this machine.

        A separate process takes it and ends afterwards, because all plugins are imported for it.
        """
        process = launcher.shared().launch("mdnbench.engine.dask.fingerprint:serve")
        try:
            shown: Fingerprint = process.ask("inspect", self.setup, metrics, within_s=PROCESS_START_S)
        finally:
            process.end()
        return shown

    def engine(self, number: int) -> LocalEngine:
        """Return the engine of a thread. It keeps its slot, and the model that the slot has loaded."""
        if number not in self._engines:
            self._engines[number] = LocalEngine(self.setup, 1)
        return self._engines[number]

    def work(self, number: int, tasks: list[Task]) -> Reply:
        """Compute tasks in the slot of a thread."""
        engine = self.engine(number)
        jobs = dict.fromkeys(task.job for task in tasks)
        queues = (JobQueue(job, iter([task for task in tasks if task.job == job]), 0) for job in jobs)
        found: dict[int, Outcome] = {}
        for batch in engine.work(Schedule(queues), self.stop):
            found |= {task.position: outcome for task, outcome in batch}
        return Reply(tuple(found.get(task.position) for task in tasks), engine.peak_bytes())

    def close(self) -> None:
        """End all worker processes at once, and remove the files that were sent."""
        self.stop.requested = True
        for engine in self._engines.values():
            engine.close(at_once=True)
        shutil.rmtree(self.folder, ignore_errors=True)


_hosts: dict[str, Host] = {}


def receive(run: str, name: str, start: int, part: bytes, digest: str, dask_worker: Worker) -> None:
    """Write a part of a file into the folder of a run.

    Args:
        run: The id of the run.
        name: The path of the file below the run's folder.
        start: The position of the part in the file; 0 starts a new file.
        part: The bytes to append.
        digest: The SHA-256 of the file with the last part, and empty before. The file gets its name only then.
        dask_worker: The worker, which Dask passes.

    Raises:
        OSError: The file differs from what was sent, or cannot be written.
    """
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


def begin(run: str, order: HostSetup) -> Fingerprint:
    """Prepare this worker for a run, and return the fingerprint of its machine."""
    from distributed import get_worker

    dask_worker = get_worker()
    folder = _folder(dask_worker, run)
    folder.mkdir(parents=True, exist_ok=True)
    setup = transfer.settled(order.setup, folder, _variables(folder))
    host = _hosts[run] = Host(folder, setup)
    anchor = dask_worker.get_current_task()
    threading.Thread(target=_hold, args=(run, dask_worker, anchor), daemon=True).start()
    try:
        shown = host.inspect(order.metrics)
    except Exception as error:  # for example, a package is missing: this worker cannot be used
        return Fingerprint({}, None, (f"a worker process did not start there: {type(error).__name__}: {error}",))
    return shown


def work(run: str, number: int, tasks: tuple[Task, ...]) -> Reply | None:
    """Compute tasks in the slot of a thread. Return None if this worker has no host for the run, as after a restart."""
    host = _hosts.get(run)
    if host is None:
        return None
    return host.work(number, [transfer.settled_task(task, host.folder) for task in tasks])


def end(run: str) -> None:
    """Close the host of a run, if it is still open."""
    if host := _hosts.pop(run, None):
        host.close()


def _end_all() -> None:
    """Close all hosts. A Dask worker that ends normally ends its children, but not what these have started."""
    for run in list(_hosts):
        end(run)


util.Finalize(None, _end_all, exitpriority=10)  # before multiprocessing's own finalizers


def deafen() -> None:
    """Ignore Ctrl-C, which a terminal sends to the whole process group; the coordinator decides when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


async def dask_setup(worker: Worker) -> None:
    """Ignore Ctrl-C in this worker. Dask calls this in our own clusters, whose workers preload this module."""
    deafen()


def _hold(run: str, dask_worker: Worker, anchor: Any) -> None:
    """Wait until the coordinator releases the anchor or is gone, then close the host."""
    while anchor in dask_worker.state.tasks:
        time.sleep(ANCHOR_S)
    end(run)


def _folder(dask_worker: Worker, run: str) -> Path:
    return Path(dask_worker.local_directory) / f"mdnbench-{run}"


def _variables(folder: Path) -> dict[str, str]:
    """Return the environment of the worker processes: the plugins that were sent, and data of both machines."""
    data = map(str, [folder / transfer.DATA, *paths.data_folders(), paths.home()])
    return {
        "MDNBENCH_PLUGINS": str(folder / transfer.PLUGINS),
        "MDNBENCH_DATA_PATH": os.pathsep.join(data),
        "MDNBENCH_HOME": str(folder / transfer.HOME),
        "MDNBENCH_OFFLINE": "1",
    }

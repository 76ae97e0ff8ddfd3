"""The engine `dask`: its slots are on Dask workers, which may join and leave during a run."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from mdnbench.engine.dask import connection
from mdnbench.engine.dask.code_comparison import CodeComparison
from mdnbench.engine.dask.fingerprint import Fingerprint
from mdnbench.engine.dask.host import HostSetup
from mdnbench.engine.dask.remote_slots import RemoteSlot, WorkerConnection
from mdnbench.engine.dask.transfer import Transfer
from mdnbench.engine.loop import Engine, FinishedTasks
from mdnbench.engine.schedule import Schedule
from mdnbench.errors import MdnbenchError, UsageError
from mdnbench.util.interrupts import Stop
from mdnbench.util.limits import DASK_END_S, NO_WORKER_S

if TYPE_CHECKING:
    from distributed import Client

    from mdnbench.spec.records import Environment

MUSTER_S = 1.0


class DaskEngine(Engine):
    """An engine that computes tasks on the workers of a Dask cluster.

    Each worker hosts slots of the same kind as the local engine's.
    """

    retries = 2
    lost = "its Dask worker was lost, and so were the two that had it next."
    _client: Client

    def __init__(
        self,
        order: HostSetup,
        freight: Transfer,
        here: Fingerprint,
        comparison: CodeComparison,
        scheduler: str,
        jobs: int,
        note: Callable[[str], None],
    ) -> None:
        """Set up the engine; no connection is made yet.

        Args:
            order: What each worker has to prepare for the run.
            freight: The files to transfer to the workers.
            here: The fingerprint of the coordinator's machine.
            comparison: Compares the files that workers have used with those here.
            scheduler: The address of a running Dask scheduler; if empty, a cluster is started on this machine.
            jobs: The greatest number of slots (0: no limit), or the number of workers of the cluster that is started
                here.
            note: Called with each message for the user.
        """
        super().__init__()
        self._order = order
        self._transfer = freight
        self._here = here
        self._comparison = comparison
        self._scheduler = scheduler
        self._jobs = jobs
        self._note = note
        self._run = uuid.uuid4().hex[:12]
        self._numbers = itertools.count()
        self._lines: dict[str, WorkerConnection] = {}
        self._ready: list[RemoteSlot] = []
        self._machines: dict[str, Environment] = {}
        self._refused: dict[str, str] = {}
        self._told: set[str] = set()
        self._accepted = False
        self._arriving = 0
        self._changing = threading.Lock()
        self._mustered = 0.0
        self._alone_since = time.monotonic()

    def machines(self) -> Mapping[str, Environment]:
        """Return what is known about the machines that computed cells, by machine id."""
        return self._machines

    def run(self, schedule: Schedule, stop: Stop) -> Generator[FinishedTasks, None, None]:
        """Yield batches of finished tasks, as `Engine.run` does. Connect to the cluster only if there is work."""
        if not schedule.left():
            return
        with connection.connect(self._scheduler, self._jobs) as self._client:
            self._refresh_workers()
            yield from super().run(schedule, stop)

    def close(self, *, at_once: bool = False) -> None:
        """Release all workers, which then end the processes that they host."""
        super().close(at_once=at_once)
        for slot in self._ready:
            slot.stop()
        if not at_once:
            self._end_hosts()
        for line in self._lines.values():
            line.cut()

    def _end_hosts(self) -> None:
        """Close all hosts and wait at most DASK_END_S seconds for them; a slower host closes by itself."""
        until = time.monotonic() + DASK_END_S
        for call in filter(None, [line.end() for line in self._lines.values()]):
            with contextlib.suppress(Exception):  # gone, or too slow
                call.result(timeout=max(0.0, until - time.monotonic()))

    def _has_capacity(self) -> bool:
        with self._changing:
            self._ready = [slot for slot in self._ready if not slot.gone]
            return bool(self._ready) and not 0 < self._jobs <= len(self._slots)

    def _new_slot(self) -> RemoteSlot:
        with self._changing:
            return self._ready.pop(0)

    def _watch_slots(self) -> None:
        super()._watch_slots()
        if time.monotonic() - self._mustered >= MUSTER_S:
            self._refresh_workers()

    def _refresh_workers(self) -> None:
        """Refresh the list of workers: start on new ones, and drop those that are gone."""
        present = self._present()
        for address, line in list(self._lines.items()):
            if address not in present:
                line.cut()
            if line.lost:
                self._drop_worker(line)
        with self._changing:  # another worker may take the address of one that left
            self._refused = {address: why for address, why in self._refused.items() if address in present}
        for address, threads in present.items():
            if address not in self._lines and address not in self._refused:
                self._admit(address, threads)
        self._slots = [slot for slot in self._slots if slot.held or not slot.gone]
        self._mustered = time.monotonic()
        self._report_progress()

    def _present(self) -> Mapping[str, int]:
        """Return the number of threads of each worker of the cluster, by address."""
        try:
            found: Mapping[str, int] = self._client.nthreads()
        except (OSError, CancelledError, RuntimeError, AttributeError) as error:
            raise MdnbenchError(
                f"the Dask scheduler is gone ({type(error).__name__}: {error}); what was finished is saved, and the "
                "same command goes on from there."
            ) from None
        return found

    def _drop_worker(self, line: WorkerConnection) -> None:
        del self._lines[line.address]
        if line.refused:
            with self._changing:
                self._refused[line.address] = line.refused
                # If it was the only one, the run must not wait for it.
                self._accepted = any(not slot.gone for slot in (*self._ready, *self._slots))
            return
        if any(slot.line is line for slot in self._slots if isinstance(slot, RemoteSlot)):
            why = f" ({line.why})" if line.why else ""
            self._note(f"the Dask worker {line.address} is gone{why}; what it had goes to another one.")

    def _admit(self, address: str, threads: int) -> None:
        """Start sending a new worker what it needs. A thread accepts it if it computes as this machine does."""
        # The id is new, because a host of an earlier connection to this worker may still be closing.
        self._lines[address] = line = WorkerConnection(
            self._client, f"{self._run}-{next(self._numbers)}", address, threads
        )
        with self._changing:
            self._arriving += 1
        threading.Thread(target=self._let_in, args=(line,), daemon=True).start()

    def _let_in(self, line: WorkerConnection) -> None:
        try:
            unlike = self._here.differences(line.begin(self._order, self._transfer.first()))
        except Exception as error:  # the worker is gone, has no mdnbench, or has no disk space left
            unlike = (" ".join(str(error).split()),)
        with self._changing:
            self._arriving -= 1
            if unlike:
                self._refused[line.address] = "; ".join(unlike)
                line.cut()
            else:
                self._accepted = True
                for number in range(line.threads):
                    slot = RemoteSlot(line, number, self._transfer, self._machines, self._comparison)
                    self._ready.append(slot)

    def _report_progress(self) -> None:
        """Report newly refused workers and the lack of workers. Raise UsageError if all workers were refused."""
        for address in self._refused.keys() - self._told:
            self._note(f"the Dask worker {address} is not used: {self._refused[address]}.")
        self._told = set(self._refused)
        if self._arriving or self._ready or any(not slot.gone for slot in self._slots):
            self._alone_since = time.monotonic()
        elif self._refused and not self._accepted:
            address, why = next(iter(self._refused.items()))
            raise UsageError(
                f"no worker of the Dask cluster can be used; {address}: {why}. Results depend on it: give workers the "
                "environment that runs here."
            )
        elif time.monotonic() - self._alone_since > NO_WORKER_S:
            self._alone_since = float("inf")
            self._note("the Dask cluster has no worker now; waiting for one.")

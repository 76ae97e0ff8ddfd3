"""Slots on other machines, and the connections to the Dask workers that host them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import queue
import threading
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from concurrent.futures import CancelledError, Future
from itertools import count
from typing import TYPE_CHECKING, Any

from mdnbench.engine.dask import host
from mdnbench.engine.dask.code_comparison import CodeComparison
from mdnbench.engine.dask.fingerprint import Fingerprint
from mdnbench.engine.dask.host import HostSetup, Reply
from mdnbench.engine.dask.transfer import Transfer, TransferFile
from mdnbench.engine.tasks import Task
from mdnbench.spec.records import Environment, Outcome
from mdnbench.util.limits import PARALLEL_SENDS

if TYPE_CHECKING:
    from distributed import Client


_at_once = threading.Semaphore(PARALLEL_SENDS)
_numbers = count()


class WorkerLost(Exception):
    """The worker is gone, or an order to it failed."""


class WorkerConnection:
    """The connection to one Dask worker.

    It runs functions on this worker only, and records which files were sent there.
    """

    def __init__(self, client: Client, run: str, address: str, threads: int) -> None:
        self.address = address
        self.threads = threads
        self.lost = False
        self.why = ""
        self.refused = ""
        self.environment: Environment | None = None
        self._client = client
        self._run = run
        self._sent: set[str] = set()
        self._calls: set[Any] = set()
        self._anchor: Any = None
        self._changing, self._sending = threading.Lock(), threading.Lock()

    def begin(self, order: HostSetup, pieces: Iterable[TransferFile]) -> Fingerprint:
        """Send the first files, open the host on the worker, and return the worker's fingerprint.

        Raises:
            Lost: The worker is gone or failed.
        """
        self.send(pieces)
        self._anchor = self._submit(host.begin, order)
        shown: Fingerprint = self._result(self._anchor)
        self.environment = shown.environment
        return shown

    def work(self, number: int, tasks: Sequence[Task]) -> Reply:
        """Return the outcomes of tasks that are computed in slot `number` of the worker.

        Raises:
            Lost: The worker is gone, failed or was restarted.
        """
        reply: Reply | None = self._result(self._submit(host.work, number, tuple(tasks)))
        if reply is None:
            raise WorkerLost(f"{self.address} was started anew")
        return reply

    def send(self, pieces: Iterable[TransferFile]) -> None:
        """Send the files that were not sent to this worker before.

        Raises:
            Lost: The worker is gone or cannot store a file.
        """
        with self._sending:
            for piece in pieces:
                if piece.name not in self._sent:
                    self._send(piece)
                    self._sent.add(piece.name)

    def end(self) -> Any:
        """Start closing the host on the worker. Return a Dask future that ends then, or None if the worker is gone."""
        with contextlib.suppress(WorkerLost):
            return self._submit(host.end)
        return None

    def cut(self, why: str = "") -> None:
        """Give up the worker.

        All waiting calls end with Lost. If the worker still exists, it closes its host.

        Args:
            why: The reason; the first one is kept.
        """
        with self._changing:
            self.lost, self.why = True, self.why or why
            for call in self._calls:
                with contextlib.suppress(Exception):  # the client may be gone as well
                    call.cancel()
            self._anchor = None

    def refuse(self, why: str) -> None:
        """Give up a worker whose results do not count here.

        Args:
            why: The reason.
        """
        self.refused = why
        self.cut(why)

    def _send(self, piece: TransferFile) -> None:
        """Send a file outside Dask's task queue, because a worker that is computing takes it at once then."""
        whole, start = hashlib.sha256(), 0
        with _at_once:
            for part in piece.parts():
                self._receive(piece.name, start, part, "")
                whole.update(part)
                start += len(part)
            self._receive(piece.name, start, b"", whole.hexdigest())

    def _receive(self, *arguments: Any) -> None:
        if self.lost:
            raise WorkerLost(self.address)
        try:
            answers = self._client.run(host.receive, self._run, *arguments, workers=[self.address])
        except Exception as error:  # any error of Dask's connections, or a full disk on the worker
            raise WorkerLost(f"{self.address}: {type(error).__name__}: {error}") from error
        if self.address not in answers:
            raise WorkerLost(self.address)

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self._changing:
            if self.lost:
                raise WorkerLost(self.address)
            key = f"mdnbench-{function.__name__}-{self._run}-{next(_numbers)}"
            call = self._client.submit(
                function, self._run, *arguments, key=key, workers=[self.address], allow_other_workers=False, pure=False
            )
            self._calls.add(call)
            return call

    def _result(self, call: Any) -> Any:
        try:
            return call.result()
        except Exception as error:  # a worker that died or could not start shows as any kind of error
            raise WorkerLost(f"{self.address}: {type(error).__name__}: {error}") from error
        except CancelledError as error:
            raise WorkerLost(self.address) from error
        finally:
            with self._changing:
                self._calls.discard(call)


class RemoteSlot:
    """One slot of a host on another machine; it is used in the same way as a slot of this machine."""

    def __init__(
        self,
        line: WorkerConnection,
        number: int,
        freight: Transfer,
        machines: MutableMapping[str, Environment],
        comparison: CodeComparison,
    ) -> None:
        """Start the threads that pass tasks to the worker.

        Args:
            line: The connection to the worker.
            number: The number of the slot on the worker.
            freight: The files to transfer.
            machines: Collects what is known about each machine that returned an outcome, by machine id.
            comparison: Compares the files that the worker has used with those here.
        """
        self.job = -1
        self.held: dict[Future[Any], Task] = {}
        self.peak_bytes = 0
        # With several threads, a second parcel would occupy the thread of another slot.
        self.ahead = 2 if line.threads == 1 else 1
        self.line = line
        self._number = number
        self._transfer = freight
        self._machines = machines
        self._comparison = comparison
        self._parcels: queue.SimpleQueue[list[tuple[Task, Future[Any]]] | None] = queue.SimpleQueue()
        for _ in range(self.ahead):
            threading.Thread(target=self._serve, daemon=True).start()

    @property
    def gone(self) -> bool:
        """Return whether the Dask worker is lost."""
        return self.line.lost

    @property
    def refused(self) -> str:
        """Return why the results of the worker do not count here; '' if they do."""
        return self.line.refused

    def submit(self, tasks: Sequence[Task], done: Callable[[Future[Any]], None]) -> None:
        """Send tasks as one parcel.

        Args:
            tasks: The tasks to compute.
            done: Called with the future of each task when it has ended for any reason, in another thread.
        """
        parcel: list[tuple[Task, Future[Any]]] = [(task, Future()) for task in tasks]
        for task, future in parcel:
            self.job = task.job
            self.held[future] = task
            future.add_done_callback(done)
        self._parcels.put(parcel)

    def collect(self, future: Future[Any]) -> tuple[Task, Outcome | None]:
        """Return the task and the outcome of a future that has ended.

        The outcome is None if another slot must compute the task.
        """
        task = self.held.pop(future)
        outcome: Outcome | None = future.result()
        if outcome is None:
            return task, None
        there = self.line.environment
        assert there is not None
        self._machines[there.machine_id] = there
        return task, dataclasses.replace(outcome, machine=there.machine_id)

    def watch(self) -> None:
        """Do nothing: the host watches its worker processes itself."""

    def stop(self, *, at_once: bool = False) -> None:
        """End the threads of this slot. The host closes when the engine releases the cluster."""
        for _ in range(self.ahead):
            self._parcels.put(None)

    def _serve(self) -> None:
        while (parcel := self._parcels.get()) is not None:
            outcomes: Sequence[Outcome | None] = [None] * len(parcel)
            try:
                tasks = [task for task, _ in parcel]
                self.line.send(self._transfer.of(tasks))
                reply = self.line.work(self._number, tasks)
                self._require_same_code(tasks, reply)
                outcomes, self.peak_bytes = reply.outcomes, max(self.peak_bytes, reply.peak_bytes)
            except WorkerLost as error:
                self.line.cut(str(error))
            except Exception as error:  # for example, an image or a file that cannot be read here: the run cannot go on
                for _, future in parcel:
                    future.set_exception(error)
                continue
            for (_, future), outcome in zip(parcel, outcomes, strict=True):
                future.set_result(outcome)

    def _require_same_code(self, tasks: Sequence[Task], reply: Reply) -> None:
        """Refuse the worker if it has used a file that differs from the one here.

        Raises:
            WorkerLost: There is such a file.
        """
        for task, outcome in zip(tasks, reply.outcomes, strict=True):
            if outcome and (why := self._comparison.difference(task, outcome.used)):
                self.line.refuse(why)
                raise WorkerLost(why)

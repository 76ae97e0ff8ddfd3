"""The engine `dask`: its slots are on Dask workers, which may come and go while a run lasts."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from mdnbench.engine.cluster import connecting
from mdnbench.engine.cluster.freight import Freight
from mdnbench.engine.cluster.host import Order
from mdnbench.engine.cluster.passport import Passport
from mdnbench.engine.cluster.remote import Line, RemoteSlot
from mdnbench.engine.loop import Batch, Engine
from mdnbench.engine.schedule import Schedule
from mdnbench.errors import MdnbenchError, UsageError
from mdnbench.util.stopping import Stop

if TYPE_CHECKING:
    from distributed import Client

    from mdnbench.spec.records import Environment

END_S = 10.0
MUSTER_S = 1.0
PATIENCE_S = 5.0


class DaskEngine(Engine):
    """Runs tasks on the workers of a Dask cluster, each of which hosts slots as the local engine has them."""

    retries = 2
    lost = "its Dask worker was lost, and so were the two that had it next."
    _client: Client

    def __init__(
        self, order: Order, freight: Freight, here: Passport, scheduler: str, jobs: int, note: Callable[[str], None]
    ) -> None:
        """`here` is the coordinator's passport; `jobs` bounds the slots (0: all), or is how many a cluster here has."""
        super().__init__()
        self._order = order
        self._freight = freight
        self._here = here
        self._scheduler = scheduler
        self._jobs = jobs
        self._note = note
        self._run = uuid.uuid4().hex[:12]
        self._numbers = itertools.count()
        self._lines: dict[str, Line] = {}
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
        """What is known of the machines that cells ran on, by their id."""
        return self._machines

    def run(self, schedule: Schedule, stop: Stop) -> Generator[Batch, None, None]:
        """As any engine; the cluster is only asked for when there is work for it."""
        if not schedule.left():
            return
        with connecting.connect(self._scheduler, self._jobs) as self._client:
            self._muster()
            yield from super().run(schedule, stop)

    def close(self, *, at_once: bool = False) -> None:
        """Let go of all workers, which end what they host."""
        super().close(at_once=at_once)
        for slot in self._ready:
            slot.stop()
        if not at_once:
            self._end_hosts()
        for line in self._lines.values():
            line.cut()

    def _end_hosts(self) -> None:
        """Have all hosts closed, and wait for it: one that takes too long closes by itself."""
        until = time.monotonic() + END_S
        for call in filter(None, [line.end() for line in self._lines.values()]):
            with contextlib.suppress(Exception):  # gone, or too slow
                call.result(timeout=max(0.0, until - time.monotonic()))

    def _room(self) -> bool:
        with self._changing:
            self._ready = [slot for slot in self._ready if not slot.gone]
            return bool(self._ready) and not 0 < self._jobs <= len(self._slots)

    def _recruit(self) -> RemoteSlot:
        with self._changing:
            return self._ready.pop(0)

    def _look(self) -> None:
        super()._look()
        if time.monotonic() - self._mustered >= MUSTER_S:
            self._muster()

    def _muster(self) -> None:
        """See which workers came and which are gone."""
        present = self._present()
        for address, line in list(self._lines.items()):
            if address not in present:
                line.cut()
            if line.lost:
                self._forget(line)
        with self._changing:  # an address may come back, as another worker
            self._refused = {address: why for address, why in self._refused.items() if address in present}
        for address, threads in present.items():
            if address not in self._lines and address not in self._refused:
                self._welcome(address, threads)
        self._slots = [slot for slot in self._slots if slot.held or not slot.gone]
        self._mustered = time.monotonic()
        self._tell()

    def _present(self) -> Mapping[str, int]:
        """The addresses of the cluster's workers, and how many threads each has."""
        try:
            found: Mapping[str, int] = self._client.nthreads()
        except (OSError, CancelledError, RuntimeError, AttributeError) as error:
            raise MdnbenchError(
                f"the Dask scheduler is gone ({type(error).__name__}: {error}); what was finished is saved, and the "
                "same command goes on from there."
            ) from None
        return found

    def _forget(self, line: Line) -> None:
        del self._lines[line.address]
        if any(slot.line is line for slot in self._slots if isinstance(slot, RemoteSlot)):
            why = f" ({line.why})" if line.why else ""
            self._note(f"the Dask worker {line.address} is gone{why}; what it had goes to another one.")

    def _welcome(self, address: str, threads: int) -> None:
        """Send a new worker what it needs, and let it in if it computes as this machine does."""
        # An id of its own: the host of an earlier line to this worker, on its way out, shares no name with the new one.
        self._lines[address] = line = Line(self._client, f"{self._run}-{next(self._numbers)}", address, threads)
        with self._changing:
            self._arriving += 1
        threading.Thread(target=self._let_in, args=(line,), daemon=True).start()

    def _let_in(self, line: Line) -> None:
        try:
            unlike = self._here.differences(line.begin(self._order, self._freight.first()))
        except Exception as error:  # gone already, or without mdnbench, or out of disk space
            unlike = (" ".join(str(error).split()),)
        with self._changing:
            self._arriving -= 1
            if unlike:
                self._refused[line.address] = "; ".join(unlike)
                line.cut()
            else:
                self._accepted = True
                numbers = range(line.threads)
                self._ready += [RemoteSlot(line, number, self._freight, self._machines) for number in numbers]

    def _tell(self) -> None:
        """Say which workers were refused, and that none is there; raise where there is none but refused ones."""
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
        elif time.monotonic() - self._alone_since > PATIENCE_S:
            self._alone_since = float("inf")
            self._note("the Dask cluster has no worker now; waiting for one.")

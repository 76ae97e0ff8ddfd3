"""The protocol of all processes that take orders: benches, methods, sources of plugins, timings, rules.

A process serves an object: an order is the name of one of its methods with arguments, and the answer is what the
method returned, or how it failed. Orders go the way of multiprocessing's connections. Answers hold nothing but plain
values, arrays and the records named in RECORDS: an answer comes from a process that ran other people's code, and must
not run any here.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import select
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mdnbench import ending
from mdnbench.outside import cut

WAIT_S = 0.25  # between two looks at a process that is computing
REST_S = 1.0  # for the rest of an answer that has begun to come
LENGTH = 8  # bytes of an answer's length
LONGEST_ANSWER = 1 << 36  # bytes; what is announced as longer is no answer
CHUNK = 1 << 20

# The records that an answer may hold, by name, and where they are defined.
RECORDS = {
    "Fingerprint": "mdnbench.conformance.process",
    "Finding": "mdnbench.conformance.rule",
    "Subject": "mdnbench.conformance.rule",
    "Passport": "mdnbench.engine.cluster.passport",
    "Denoised": "mdnbench.engine.method",
    "Failure": "mdnbench.engine.orders",
    "Result": "mdnbench.engine.tasks",
    "MetricScore": "mdnbench.records",
    "Outcome": "mdnbench.records",
    "UsedFile": "mdnbench.records",
    "Call": "mdnbench.timing.probe",
    "Compared": "mdnbench.timing.probe",
    "First": "mdnbench.timing.probe",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What an order raised: the exception's class by name, its message and traceback, and if it was Unavailable."""

    kind: str
    message: str
    traceback: str = ""
    unavailable: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class OrderFailed(Exception):
    """The order raised an exception in its process, which is ready for the next order."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class ProcessLate(Exception):
    """The process gave no answer in time; it still holds the order."""


class ProcessEnded(Exception):
    """The process ended with an order in hand; the message says how."""


def written_answer(value: Any) -> bytes:
    """Return the bytes that stand for an answer: a line of JSON, then the pixels of its arrays."""
    arrays: list[bytes] = []
    header = json.dumps(_plain(value, arrays)).encode()
    return b"".join([header, b"\n", *arrays])


def read_answer(content: bytes) -> Any:
    """Return the answer that these bytes stand for; ValueError if they stand for none."""
    header, _, pixels = content.partition(b"\n")
    try:
        return _value(json.loads(header), memoryview(pixels))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _plain(value: Any, arrays: list[bytes]) -> Any:
    """Return a value as JSON has it; what JSON does not have is a list of its kind and its parts."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return ["tuple" if isinstance(value, tuple) else "list", *(_plain(each, arrays) for each in value)]
    if isinstance(value, Mapping):
        return ["dict", *([_plain(key, arrays), _plain(each, arrays)] for key, each in value.items())]
    if isinstance(value, Path):
        return ["Path", str(value)]
    name = type(value).__name__
    if dataclasses.is_dataclass(value) and type(value).__module__ == RECORDS.get(name):
        return [name, *(_plain(getattr(value, field.name), arrays) for field in dataclasses.fields(value))]
    if hasattr(value, "tobytes") and hasattr(value, "shape"):
        arrays.append(value.tobytes())
        start = sum(map(len, arrays[:-1]))
        return ["array", str(value.dtype), list(value.shape), start, len(arrays[-1])]
    raise TypeError(f"an answer cannot hold a {name}")


def _value(plain: Any, pixels: memoryview) -> Any:
    if not isinstance(plain, list):
        return plain
    kind, *parts = plain
    if kind == "array":
        dtype, shape, start, size = parts
        return _array(dtype, shape, pixels[start : start + size])
    if kind == "dict":
        return {_value(key, pixels): _value(each, pixels) for key, each in parts}
    values = [_value(each, pixels) for each in parts]
    if kind in ("list", "tuple"):
        return values if kind == "list" else tuple(values)
    if kind == "Path":
        return Path(*values)
    return getattr(importlib.import_module(RECORDS[kind]), kind)(*values)


def _array(dtype: str, shape: list[int], pixels: memoryview) -> Any:
    """Return an array of one of the types that answers hold, in memory of its own."""
    import numpy as np

    if dtype not in ("float32", "float64"):
        raise ValueError(f"an answer cannot hold an array of {dtype}")
    return np.frombuffer(pixels, dtype).reshape(shape).copy()


def failure_of(error: BaseException) -> Failure:
    """Return how an exception is told to another process."""
    from mdnbench.errors import Unavailable

    kind = type(error).__name__
    try:
        message, trace = str(error), "".join(traceback.format_exception(error))
    except Exception:  # an exception of a plugin whose own __str__ fails
        message, trace = "(its message cannot be read)", ""
    return Failure(cut(kind), cut(message), cut(trace), isinstance(error, Unavailable))


def serve(connection: Connection, make: Callable[[], Any]) -> None:
    """Answer orders with the methods of what `make` returns, until the other end of the connection is closed.

    If `make` fails, that is the answer to every order: a process that cannot begin says why.
    """
    problem = served = None
    try:
        with ending.ending_copies():
            served = make()
    except BaseException as error:
        problem = failure_of(error)
    while True:
        try:
            order, arguments = connection.recv()
        except (EOFError, OSError):
            return
        answer: tuple[bool, Any]
        try:
            with ending.ending_copies():
                answer = (False, problem) if problem else (True, getattr(served, order)(*arguments))
        except BaseException as error:  # sys.exit() in a plugin ends its order, not the process
            answer = (False, failure_of(error))
        try:
            content = written_answer(answer)
        except Exception as error:  # an answer that cannot be sent is a failure of its order
            content = written_answer((False, failure_of(error)))
        try:
            _write(connection, content)
        except OSError:  # nobody is left to tell
            return


def _write(connection: Connection, content: bytes) -> None:
    """Write an answer with its length in front."""
    if os.name == "nt":
        connection.send_bytes(content)
        return
    left = memoryview(len(content).to_bytes(LENGTH, "big") + content)
    while left:
        left = left[os.write(connection.fileno(), left) :]


class Answering:
    """The asking end of a process that takes orders."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._poll: Callable[[float], bool] = connection.poll
        if hasattr(select, "poll"):  # made once: `Connection.poll` makes a selector for each call
            waiting = select.poll()
            waiting.register(connection.fileno(), select.POLLIN)

            def poll(seconds: float) -> bool:
                return bool(waiting.poll(seconds * 1000))

            self._poll = poll

    def send(self, order: str, *arguments: Any) -> None:
        """Give an order; ProcessEnded if the process is gone."""
        try:
            self.connection.send((order, arguments))
        except OSError as error:
            raise ProcessEnded("its process is gone") from error

    def answered(self, within_s: float) -> bool:
        """Wait until there is an answer, or the process has ended, for at most so many seconds."""
        try:
            return self._poll(max(0.0, within_s))
        except OSError:
            return True

    def receive(self, until: float) -> Any:
        """Return the answer to the order, of which a part is there.

        OrderFailed if it raised, ProcessEnded if the process ended instead or what came is no answer, ProcessLate if
        the rest does not come.
        """
        try:
            good, value = read_answer(self._read(max(until, time.monotonic() + REST_S)))
        except TimeoutError:
            raise ProcessLate from None
        except (EOFError, OSError) as error:
            raise ProcessEnded("its process ended") from error
        except Exception as error:
            raise ProcessEnded(f"its process gave an answer that cannot be read ({error})") from error
        if good:
            return value
        raise OrderFailed(value if isinstance(value, Failure) else Failure("Error", "unknown"))

    def _read(self, until: float) -> bytes:
        """Read an answer; EOFError if the process ends, ValueError if no answer begins so, TimeoutError after that."""
        if os.name == "nt":
            return self.connection.recv_bytes()
        length = int.from_bytes(self._read_exactly(LENGTH, until), "big")
        if length > LONGEST_ANSWER:
            raise ValueError(f"it would be {length:,} bytes long")
        return self._read_exactly(length, until)

    def _read_exactly(self, size: int, until: float) -> bytes:
        content = bytearray()
        while len(content) < size:
            if not self._poll(max(0.0, until - time.monotonic())):
                raise TimeoutError
            part = os.read(self.connection.fileno(), min(size - len(content), CHUNK))
            if not part:
                raise EOFError
            content += part
        return bytes(content)

    def close(self) -> None:
        """Close the connection, which ends the process if it is idle."""
        self.connection.close()

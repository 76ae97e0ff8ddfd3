"""The protocol of all processes that take orders: benches, methods, plugins' sources, timings and rules.

A process serves an object. An order is the name of a method of this object, with arguments. The answer is the returned
value, or a description of the failure. Orders are sent over multiprocessing's connections. An answer comes from a
process that ran other people's code and must not run any code here. So answers contain only plain values, arrays and
the records that are listed in RECORDS.
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

import numpy as np

from mdnbench.errors import Unavailable
from mdnbench.util import ending
from mdnbench.util.limits import ANSWER_REST_S, MAX_ANSWER_BYTES
from mdnbench.util.untrusted import cut

WAIT_S = 0.25  # between two checks of a process that is computing
LENGTH = 8  # number of bytes that hold an answer's length
CHUNK = 1 << 20

# The records that an answer may contain, with the modules that define them.
RECORDS = {
    "OutputDigest": "mdnbench.testing.rules.process",
    "Finding": "mdnbench.testing.rules.rule",
    "Subject": "mdnbench.testing.rules.rule",
    "Fingerprint": "mdnbench.engine.dask.fingerprint",
    "Denoised": "mdnbench.engine.method",
    "Failure": "mdnbench.engine.orders",
    "Result": "mdnbench.engine.tasks",
    "Environment": "mdnbench.spec.records",
    "MetricScore": "mdnbench.spec.records",
    "Outcome": "mdnbench.spec.records",
    "UsedFile": "mdnbench.spec.records",
    "TimedCall": "mdnbench.timing.answers",
    "OutputComparison": "mdnbench.timing.answers",
    "FirstCall": "mdnbench.timing.answers",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that an order raised.

    Attributes:
        kind: The name of the exception's class.
        message: The exception's message.
        traceback: The formatted traceback.
        unavailable: Whether the exception was an Unavailable.
    """

    kind: str
    message: str
    traceback: str = ""
    unavailable: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class OrderFailed(Exception):
    """The order raised an exception in its process. The process is ready for the next order."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class ProcessLate(Exception):
    """The process gave no answer in time. It is still working on the order."""


class ProcessEnded(Exception):
    """The process ended before it answered an order. The message describes how."""


def written_answer(value: Any) -> bytes:
    """Return an answer as bytes: a line of JSON, then the pixels of its arrays.

    Raises:
        TypeError: The answer contains a value that answers may not contain.
    """
    arrays: list[bytes] = []
    header = json.dumps(_plain(value, arrays)).encode()
    return b"".join([header, b"\n", *arrays])


def read_answer(content: bytes) -> Any:
    """Return the answer that was written as these bytes.

    Raises:
        ValueError: The bytes are not a valid answer.
    """
    header, _, pixels = content.partition(b"\n")
    try:
        return _value(json.loads(header), memoryview(pixels))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _plain(value: Any, arrays: list[bytes]) -> Any:
    """Return a value in JSON's types. A value of another type becomes a list of the type's name and its parts."""
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
    """Return an array of a permitted type, which owns its memory."""
    if dtype not in ("float32", "float64"):
        raise ValueError(f"an answer cannot hold an array of {dtype}")
    return np.frombuffer(pixels, dtype).reshape(shape).copy()


def failure_of(error: BaseException) -> Failure:
    """Return the description of an exception that is sent to another process."""
    kind = type(error).__name__
    try:
        message, trace = str(error), "".join(traceback.format_exception(error))
    except Exception:  # the __str__ of a plugin's exception can fail
        message, trace = "(its message cannot be read)", ""
    return Failure(cut(kind), cut(message), cut(trace), isinstance(error, Unavailable))


def serve(connection: Connection, make: Callable[[], Any]) -> None:
    """Answer orders with the methods of an object, until the other end of the connection is closed.

    Args:
        connection: Where orders arrive and answers are sent.
        make: Returns the object. If it fails, its exception is the answer to every order.
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
        except BaseException as error:  # sys.exit() in a plugin ends the order, not the process
            answer = (False, failure_of(error))
        try:
            content = written_answer(answer)
        except Exception as error:  # if an answer cannot be sent, the order has failed
            content = written_answer((False, failure_of(error)))
        try:
            _write(connection, content)
        except OSError:  # the other process is gone
            return


def _write(connection: Connection, content: bytes) -> None:
    """Write an answer, after its length."""
    if os.name == "nt":
        connection.send_bytes(content)
        return
    left = memoryview(len(content).to_bytes(LENGTH, "big") + content)
    while left:
        left = left[os.write(connection.fileno(), left) :]


class OrderClient:
    """The connection to a process that takes orders, on the side that sends the orders."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._poll: Callable[[float], bool] = connection.poll
        if hasattr(select, "poll"):  # made once, because `Connection.poll` makes a selector for each call
            waiting = select.poll()
            waiting.register(connection.fileno(), select.POLLIN)

            def poll(seconds: float) -> bool:
                return bool(waiting.poll(seconds * 1000))

            self._poll = poll

    def send(self, order: str, *arguments: Any) -> None:
        """Send an order.

        Raises:
            ProcessEnded: The process is gone.
        """
        try:
            self.connection.send((order, arguments))
        except OSError as error:
            raise ProcessEnded("its process is gone") from error

    def answered(self, within_s: float) -> bool:
        """Wait at most `within_s` seconds. Return whether an answer has arrived or the process has ended."""
        try:
            return self._poll(max(0.0, within_s))
        except OSError:
            return True

    def receive(self, until: float) -> Any:
        """Return the answer to an order. Call it when a part of the answer has arrived.

        Args:
            until: The time by `time.monotonic()` to wait for the rest; at least ANSWER_REST_S seconds are allowed.

        Raises:
            OrderFailed: The order raised an exception.
            ProcessEnded: The process ended, or the answer is not valid.
            ProcessLate: The rest did not arrive in time.
        """
        try:
            good, value = read_answer(self._read(max(until, time.monotonic() + ANSWER_REST_S)))
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
        """Read an answer.

        Raise EOFError if the process ends, ValueError if its length is too large, TimeoutError if late.
        """
        if os.name == "nt":
            return self.connection.recv_bytes()
        length = int.from_bytes(self._read_exactly(LENGTH, until), "big")
        if length > MAX_ANSWER_BYTES:
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
        """Close the connection. This ends the process if it is idle."""
        self.connection.close()

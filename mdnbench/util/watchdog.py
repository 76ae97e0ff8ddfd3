"""The program of the watchdog process: end a command in which a plugin's call takes too long.

`time_limit` starts this file by its path, so it imports nothing of mdnbench. It is a process and not a thread, because
a thread could not run while C code of the plugin holds the interpreter's lock. Each line on standard input is a JSON
list: `[number, seconds, grace, reason, may raise]` begins a call or begins its time again, and `[number]` ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import dataclass, field

TICK_S = 1.0  # after which time counts; more than two of them at once are a suspended machine or a stopped group
SIGNAL: int = getattr(signal, "SIGURG", 0)  # its default action is to do nothing; 0 on Windows
END_SIGNAL = 3  # SIGQUIT, which makes the command end with exit code 3; on Windows, os.kill ends it with this exit code


@dataclass
class _Call:
    left: float
    grace: float
    reason: str
    may_raise: bool
    step: int = field(init=False)

    def __post_init__(self) -> None:
        self.step = 0 if self.may_raise else 2


def main() -> None:
    """Watch the calls of the parent process until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command
    parent = int(sys.argv[1])
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    calls: dict[int, _Call] = {}
    while True:
        wait = max(min([TICK_S, *(call.left for call in calls.values())]), 0) if calls else None
        start = time.monotonic()
        line = b""
        with contextlib.suppress(queue.Empty):
            line = lines.get(timeout=wait)
        passed = min(time.monotonic() - start, 2 * TICK_S)
        for call in calls.values():
            call.left -= passed
            if call.left <= 0 and (os.name != "posix" or os.getppid() == parent):
                _act(call, parent)
        if line:
            _take(json.loads(line), calls)


def _read(lines: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)  # the command has ended


def _take(given: list[object], calls: dict[int, _Call]) -> None:
    number, *call = given
    calls.pop(number, None)  # type: ignore[call-overload]
    if call:
        calls[number] = _Call(*call)  # type: ignore[index, arg-type]


def _act(call: _Call, parent: int) -> None:
    """Do the next thing to a call that takes too long: raise in it, end the command, or kill the command.

    The first two are the same signal, which `time_limit` handles in the main thread. C code may never let it do that.
    """
    call.left, call.step = call.grace, call.step + 1
    if call.step <= 2:
        os.kill(parent, SIGNAL)
    elif call.step == 3:
        with contextlib.suppress(OSError):
            os.write(2, f"mdnbench: {call.reason}\n".encode("utf-8", "backslashreplace"))
        os.kill(parent, END_SIGNAL)
    elif hasattr(signal, "SIGKILL"):
        os.kill(parent, signal.SIGKILL)


if __name__ == "__main__":
    main()

"""What this process still has to do when it ends: remove its temporary folders, end its server, close its stores.

The command line does this itself and then ends at once. Python's own way would join every thread and call every handler
at exit, also those of plugins, and each of them could keep the process alive or change its exit code. A program that
imports mdnbench ends in its own way; there the same calls are a handler at exit.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

_exit = os._exit  # as it is before any plugin is imported

_calls: list[Callable[[], Any]] = []


def register(call: Callable[[], Any]) -> None:
    """Have a function called, without arguments, when this process ends; the last one first."""
    if not _calls:
        atexit.register(clean)
    _calls.append(call)


def clean() -> None:
    """Call what was registered, each once. A forked process has its parent's calls too: each looks what is its own."""
    while _calls:
        with contextlib.suppress(Exception):
            _calls.pop()()


def leave(code: int) -> NoReturn:
    """End this process with an exit code, after its own cleanup; no thread and no other handler can prevent that."""
    try:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        clean()
    finally:
        _exit(code)


@contextlib.contextmanager
def ending_copies() -> Iterator[None]:
    """Run other people's code: a copy of this process that it forks ends where the block ends.

    A copy that went on would do everything for a second time: print, answer orders, write to the store.
    """
    me = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != me:
            _exit(1)

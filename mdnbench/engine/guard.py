"""Guards: a spawned process is killed when its parent ends, whatever code it is running then.

A thread could not do this, because C code may hold the interpreter's lock for ever. So a separate process waits until
one of the two ends. Forked processes need no guard: the system kills them when their server ends.
"""

from __future__ import annotations

import os
import select
import signal

from mdnbench.engine import process_tree


def end_with(parent: int) -> None:
    """Kill this process and its descendants when its parent ends.

    Call it first: it forks a guard, and forking is safe only while there is a single thread. It does nothing on systems
    without fork.

    Args:
        parent: A file descriptor that becomes readable when the parent is gone.
    """
    if not (hasattr(os, "fork") and hasattr(os, "setsid")):
        return
    worker = os.getpid()
    alive, _ = os.pipe()  # the worker keeps the other end open until it ends
    child = os.fork()
    if child == 0:
        if os.fork() == 0:  # forked twice, to be no child of the worker: its children are counted
            _guard(worker, parent, alive)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(alive)


def _guard(worker: int, parent: int, alive: int) -> None:
    """Wait until the parent or the worker ends, and kill the worker if it was the parent. Never return."""
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        process_tree.close_others(
            {parent, alive}
        )  # otherwise readers of an inherited pipe would wait until the guard ends
        ended, _, _ = select.select([parent, alive], [], [])
        if parent in ended:
            process_tree.end(worker)
    finally:
        os._exit(0)

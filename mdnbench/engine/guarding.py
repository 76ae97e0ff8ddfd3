"""Guards: a spawned process ends with the process that asked for it, whatever code it is in at that moment.

A thread could not see to that: C code may hold the interpreter's lock for ever. So a process of its own waits for
either of the two to end. Forked processes need none: the system kills them with their server.
"""

from __future__ import annotations

import os
import select
import signal

from mdnbench.engine import family


def end_with(parent: int) -> None:
    """Have this process, and what it started, killed once the descriptor `parent` says that the parent is gone.

    Call it first of all: the guard is forked, which is safe only while there is one thread. Nothing happens on systems
    without forks.
    """
    if not (hasattr(os, "fork") and hasattr(os, "setsid")):
        return
    worker = os.getpid()
    alive, _ = os.pipe()  # the worker holds the other end until it ends
    child = os.fork()
    if child == 0:
        if os.fork() == 0:  # no child of the worker, whose children are counted
            _guard(worker, parent, alive)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(alive)


def _guard(worker: int, parent: int, alive: int) -> None:
    """Wait for the parent or the worker to end, and end the worker in the first case; never returns."""
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        family.close_others({parent, alive})  # or readers of a pipe that it inherited would wait for its end
        ended, _, _ = select.select([parent, alive], [], [])
        if parent in ended:
            family.end(worker)
    finally:
        os._exit(0)

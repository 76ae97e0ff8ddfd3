"""What of an import goes on after it is found by a trial, and a library's own handlers are not."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench.registry import lingering

Plugin = Callable[..., Path]
Tried = Callable[[Path], Any]

# What a plugin does, with proof that it took effect; then what the trial says that it changes.
LINGERS: dict[str, tuple[str, str]] = {
    "thread": ("import threading, time; threading.Thread(target=time.sleep, args=(99,)).start()\n"
               "assert threading.active_count() == 2", lingering.THREADS),
    "daemon": ("import threading, time; threading.Thread(target=time.sleep, args=(99,), daemon=True).start()\n"
               "assert threading.active_count() == 2", lingering.THREADS),
    "raw thread": ("import _thread, time; _thread.start_new_thread(time.sleep, (99,)); time.sleep(0.05)\n"
                   "assert _thread._count() == 1", lingering.THREADS),
    "timer": ("import threading; threading.Timer(99, print).start(); assert threading.active_count() == 2",
              lingering.THREADS),
    "thread pool": ("from concurrent.futures import ThreadPoolExecutor as P; pool = P(1)\n"
                    "assert pool.submit(abs, -3).result() == 3", lingering.THREADS),
    "atexit": ("import atexit, os; n = atexit._ncallbacks(); atexit.register(lambda: os._exit(0))\n"
               "assert atexit._ncallbacks() == n + 1", lingering.AT_EXIT),
    "atexit of C": ("import atexit, os; atexit.register(os._exit, 0); assert atexit._ncallbacks()", lingering.AT_EXIT),
    "atexit as a decorator": ("import atexit\n@atexit.register\ndef late(): pass\nassert callable(late)",
                              lingering.AT_EXIT),
    "atexit, reloaded": ("import importlib, sys; sys.modules.pop('atexit'); import atexit\n"
                         "atexit.register(print); assert atexit._ncallbacks()", lingering.AT_EXIT),
    "threading._register_atexit": ("import threading; threading._register_atexit(lambda: None)\n"
                                   "assert threading._threading_atexits", lingering.AT_EXIT),
    "finalizer": ("import os, weakref; class_ = type('A', (), {}); f = weakref.finalize(class_, os._exit, 0)\n"
                  "assert f.alive", lingering.AT_EXIT),
    "multiprocessing's finalizer": (
        "import os, multiprocessing.util as m; m.Finalize(None, os._exit, (0,), exitpriority=1)\n"
        "assert m._finalizer_registry", lingering.AT_EXIT),
    "sys.excepthook": ("import sys; sys.excepthook = lambda *a: None", "sys.excepthook"),
    "sys.exit": ("import sys; sys.exit = lambda *a: None; sys.exit()", "sys.exit"),
    "os._exit": ("import os; os._exit = lambda code: None; os._exit(0)", "os._exit"),
    "profile": ("import sys; sys.setprofile(lambda *a: None); assert sys.getprofile()", "the profile function"),
    "trace": ("import threading; threading.settrace(lambda *a: None); assert threading.gettrace()",
              "the trace function"),
    "audit": ("import sys; heard = []; sys.addaudithook(lambda e, a: heard.append(e)); open(__file__).close()\n"
              "assert 'open' in heard", lingering.AUDIT),
    "signal": ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
               "assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN", "the signal handlers"),
    "faulthandler": ("import faulthandler; faulthandler.enable(open(__file__)); assert faulthandler.is_enabled()",
                     "the fault handler"),
    "gc": ("import gc; gc.callbacks.append(lambda *a: None); assert gc.callbacks",
           "the callbacks of the garbage collector"),
}  # fmt: skip
LINUX: dict[str, tuple[str, str]] = {
    "fork": ("import os\nif os.fork() == 0: pass", lingering.CHILDREN),
    "fork that waits": ("import os, time\nif os.fork() == 0: time.sleep(99)", lingering.CHILDREN),
    "fork in C": ("import ctypes, time\nif ctypes.CDLL(None).fork() == 0: time.sleep(99)", lingering.CHILDREN),
    "subprocess": ("import subprocess; assert subprocess.Popen(['sleep', '99']).poll() is None", lingering.CHILDREN),
    "spawn": ("import os; assert os.posix_spawn('/bin/sleep', ['sleep', '99'], {}) > 0", lingering.CHILDREN),
    "daemon process": ("import os; os.system('setsid sleep 99 >&- 2>&- & exit 0')", lingering.CHILDREN),
    "process pool": ("import multiprocessing as m; pool = m.get_context('fork').Pool(1)\n"
                     "assert pool.apply(abs, (-3,)) == 3", lingering.CHILDREN),
    "watchdog": ("import faulthandler; faulthandler.dump_traceback_later(99, exit=True)", "the fault handler"),
}  # fmt: skip


@pytest.mark.parametrize("what", LINGERS)
def test_fault_45_what_goes_on_after_an_import_is_found(plugin: Plugin, method: str, tried: Tried, what: str) -> None:
    """Threads, handlers at exit, hooks: such a plugin is imported in processes of its own."""
    text, changes = LINGERS[what]
    found = tried(plugin(f"{text}\n{method}"))
    assert found.error == ""
    assert changes in found.patches


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux has them")
@pytest.mark.parametrize("what", LINUX)
def test_fault_45_processes_that_go_on_after_an_import_are_found(
    plugin: Plugin, method: str, tried: Tried, what: str
) -> None:
    """Whoever started them, and though their parent has left them."""
    text, changes = LINUX[what]
    found = tried(plugin(f"{text}\n{method}"))
    assert found.error == ""
    assert changes in found.patches


HONEST = """
    import concurrent.futures, functools, logging, multiprocessing, subprocess, sys, tempfile, threading, weakref
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert list(pool.map(abs, [-1])) == [1]
    assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=True).stdout == b"1\\n"
    SCRATCH = tempfile.TemporaryDirectory()
    LOCK = multiprocessing.Lock()
    logging.captureWarnings(True)
    thread = threading.Thread(target=print)
    thread.start(), thread.join()
"""


def test_what_libraries_register_is_their_own(plugin: Plugin, method: str, tried: Tried) -> None:
    """Work that is over, locks, temporary folders and the handlers of the standard library change nothing."""
    found = tried(plugin(f"{textwrap.dedent(HONEST)}\n{method}"))
    assert (found.error, found.patches) == ("", ())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_fault_45_a_copy_ends_where_the_plugin_ends(
    plugin: Plugin, tmp_path: Path, method: str, begin: Callable[..., Any]
) -> None:
    """A function of a spec that forks in the coordinator, which no trial finds: there is one output all the same."""
    noise = """
@mdnbench.hookimpl
def mdnbench_datasets():
    def load(name):
        import numpy, os
        if os.fork() == 0:
            open({note!r}, "a").write("x")
        return numpy.zeros((32, 32), numpy.float32)
    return [mdnbench.DatasetSpec("forking", "x", "test", 1, ("a",), load)]
"""
    path = plugin(noise.format(note=str(tmp_path / "note")))
    process = begin("plan", "--plugin", path, "--methods", "noisy", "--sigma", 25, "--dataset", "forking",
                    "--metrics", "psnr", "--json")  # fmt: skip
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert (tmp_path / "note").exists()
    json.loads(out)

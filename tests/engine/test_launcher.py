"""Processes that take orders: started clean, asked with a deadline, ended with everything that they started."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mdnbench import api
from mdnbench.engine.launcher import ForkLauncher, Launcher, SpawnLauncher, can_fork
from mdnbench.engine.orders import OrderFailed, ProcessEnded, ProcessLate
from mdnbench.errors import MdnbenchError

SERVED = """
import os, subprocess, sys, time
from mdnbench.engine import orders

class Served:
    def pid(self):
        return os.getpid()

    def raises(self, text):
        raise ValueError(text)

    def exits(self):
        sys.exit(3)

    def dies(self, number):
        os.kill(os.getpid(), number)

    def leaves(self):
        os._exit(7)

    def sleeps(self, seconds):
        time.sleep(seconds)

    def starts(self, apart):
        return subprocess.Popen(["sleep", "600"], start_new_session=apart).pid

    def odd(self):
        return object()

    def modules(self):
        return sorted(name for name in ("numpy", "torch", "skimage", "mdnbench_bm3d") if name in sys.modules)

    def descriptors(self):
        return [os.readlink(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{each}")]

    def threads(self):
        return len(os.listdir("/proc/self/task"))

    def scratch(self):
        import tempfile
        return tempfile.mkdtemp()

def serve(connection):
    orders.serve(connection, Served)
"""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


@pytest.fixture(params=["fork", "spawn"])
def launcher(request: pytest.FixtureRequest, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Launcher]:
    """A launcher of each kind, and a module `served` that it can start."""
    (workspace / "served.py").write_text(SERVED, encoding="utf-8")
    monkeypatch.syspath_prepend(str(workspace))
    if request.param == "fork" and not can_fork():
        pytest.skip("processes are forked on Linux alone")
    made = ForkLauncher.begin() if request.param == "fork" else SpawnLauncher()
    yield made
    made.close()


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_orders_are_answered_and_what_they_raise_is_told(launcher: Launcher) -> None:
    """An order that raises, exits, or answers with what no answer may hold fails; the next one is answered."""
    process = launcher.launch("served:serve")
    assert process.ask("pid", within_s=60) == process.pid != os.getpid()
    for order, says in (("raises", "ValueError: no luck"), ("exits", "SystemExit: 3"), ("odd", "cannot hold a object")):
        with pytest.raises(OrderFailed, match=says):
            process.ask(order, *(["no luck"] if order == "raises" else []), within_s=60)
    assert process.ask("pid", within_s=60) == process.pid
    with pytest.raises(OrderFailed, match=r"cut: 10,000,000 characters in all"):
        process.ask("raises", "x" * 10_000_000, within_s=60)
    process.end()


@pytest.mark.parametrize(
    ("order", "arguments", "says"),
    [("dies", [signal.SIGSEGV], "killed by SIGSEGV"), ("dies", [signal.SIGKILL], "killed by SIGKILL"),
     ("leaves", [], "exit code 7")],
)  # fmt: skip
def test_how_a_process_ended_is_known(
    launcher: Launcher, order: str, arguments: list[Any], says: str, wait: Callable[..., None]
) -> None:
    """By a signal or with an exit code; a child that it leaves behind does not hold the answer up."""
    process = launcher.launch("served:serve")
    child = process.ask("starts", False, within_s=60)
    start = time.monotonic()
    with pytest.raises(ProcessEnded):
        process.ask(order, *arguments, within_s=60)
    assert time.monotonic() - start < 10
    assert says in process.how_it_ended()
    wait(lambda: gone(child), 5)


def test_a_process_that_is_late_is_ended_with_its_children(launcher: Launcher, wait: Callable[..., None]) -> None:
    """Those in sessions of their own too."""
    process = launcher.launch("served:serve")
    children = [process.ask("starts", apart, within_s=60) for apart in (False, True)]
    with pytest.raises(ProcessLate):
        process.ask("sleeps", 600, within_s=0.3)
    process.end()
    wait(lambda: all(map(gone, [process.pid, *children])), 5)


def test_temporary_files_go_with_their_process(launcher: Launcher) -> None:
    """A plugin that never removes what it makes leaves nothing behind."""
    process = launcher.launch("served:serve")
    folder = Path(process.ask("scratch", within_s=60))
    assert folder.is_dir()
    process.end()
    assert not folder.exists()


@LINUX
def test_a_forked_process_begins_clean(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has NumPy and torch, no plugin, one thread, and no descriptor but its own connection and the usual three."""
    (workspace / "served.py").write_text(SERVED, encoding="utf-8")
    monkeypatch.syspath_prepend(str(workspace))
    with (workspace / "open.txt").open("w"):
        made = ForkLauncher.begin()
        process = made.launch("served:serve")
        assert process.ask("modules", within_s=60) == ["numpy", "torch"]
        assert process.ask("threads", within_s=60) == 1
        others = [each for each in process.ask("descriptors", within_s=60) if each.startswith("socket:")]
        assert len(others) == 1
        assert not any("open.txt" in each for each in process.ask("descriptors", within_s=60))
    made.close()


@LINUX
def test_a_server_that_is_killed_is_an_error_at_once(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, wait: Callable[..., None]
) -> None:
    """Its processes go with it, and who asks it is told."""
    (workspace / "served.py").write_text(SERVED, encoding="utf-8")
    monkeypatch.syspath_prepend(str(workspace))
    made = ForkLauncher.begin()
    process = made.launch("served:serve")
    process.ask("pid", within_s=60)
    assert made._server is not None
    made._server.kill()
    start = time.monotonic()
    with pytest.raises(ProcessEnded):
        process.ask("sleeps", 600, within_s=60)
    with pytest.raises(MdnbenchError, match="server of worker processes"):
        made.launch("served:serve")
    assert time.monotonic() - start < 10
    wait(lambda: gone(process.pid), 5)
    made.close()


KILLED = """
import sys, time
sys.path.insert(0, "")
from mdnbench.engine import launcher
process = launcher.shared().launch("served:serve")
pids = [process.pid, *(process.ask("starts", apart, within_s=60) for apart in (False, True))]
process.answering.send("sleeps", 600)
print(*pids, flush=True)
time.sleep(600)
"""


@LINUX
def test_nothing_is_left_of_a_coordinator_that_was_killed(workspace: Path, wait: Callable[..., None]) -> None:
    """Neither the server, nor a process that computes, nor its children, whatever session they are in."""
    (workspace / "served.py").write_text(SERVED, encoding="utf-8")
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        pids = [int(each) for each in running.stdout.readline().split()]
        servers = [child.pid for child in psutil.Process(running.pid).children()]
        running.kill()
    assert len(pids) == 3
    assert servers
    wait(lambda: all(map(gone, [*pids, *servers])), 5)


def test_spawned_processes_give_the_same_digits(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What macOS and Windows do, forced here: outputs, scores and keys are those of forked processes."""
    keys: dict[str, Any] = {
        "methods": ["median", "tv"], "sigma": 50, "dataset": "sk12", "images": ["01"], "metrics": ["psnr", "ssim"],
        "timing": False, "jobs": 1,
    }  # fmt: skip
    forked = [row.output_digest for row in api.run(**keys, workspace_folder=workspace / "a").rows()]
    monkeypatch.setenv("MDNBENCH_START", "spawn")
    assert not can_fork()
    spawned = api.run(**keys, workspace_folder=workspace / "b")
    assert spawned.counts == {"ok": 2}
    assert [row.output_digest for row in spawned.rows()] == forked


@LINUX
@pytest.mark.full
def test_a_method_process_starts_in_a_moment(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From asking for it to its first answer: a median of 20 below 0.3 s."""
    (workspace / "served.py").write_text(SERVED, encoding="utf-8")
    monkeypatch.syspath_prepend(str(workspace))
    made = ForkLauncher.begin()
    made.launch("served:serve").ask("pid", within_s=60)  # the server is there now
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        process = made.launch("served:serve")
        process.ask("pid", within_s=60)
        seconds.append(time.perf_counter() - start)
        process.end()
    made.close()
    assert statistics.median(seconds) < 0.3

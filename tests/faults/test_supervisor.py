"""The supervisor: nothing stalls, nothing is left behind, and who waits is told what for."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from mdnbench import api
from mdnbench.engine import launcher, loop, slots
from mdnbench.errors import MdnbenchError
from mdnbench.util.listener import Listener

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have other signals")
Plugin = Callable[..., Path]
Patch = pytest.MonkeyPatch
STARTS = ("fork", pytest.param("spawn", marks=pytest.mark.full))

METHOD = """
    import os, signal, time
    from pathlib import Path
    {top}

    def build(options, device, weights):
        def denoise(noisy, noise):
            {code}
            return noisy.clone()
        return denoise

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("odd", "1", "odd", build)]
"""


@pytest.fixture
def odd(plugin: Plugin) -> Callable[..., Path]:
    """`odd("raise MemoryError")` is a plugin file whose method does this with each image."""

    def make(code: str, top: str = "") -> Path:
        return plugin(METHOD.format(code=code, top=top))

    return make


@dataclass(frozen=True)
class Line:
    """One report of progress, and when it came."""

    at: float
    doing: str
    detail: str


class Heard(Listener):
    """What a run says of its progress."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def progress(self, phase: str, done: float, doing: Any = (), detail: str = "") -> None:
        """Keep it."""
        self.lines.append(Line(time.monotonic(), ", ".join(doing), detail))


@pytest.mark.parametrize("slow", ["hand-over", "answer", "renewal", "end"])
@pytest.mark.parametrize("renewals", [6, pytest.param(200, marks=pytest.mark.full)])
def test_fault_40_renewals_with_a_slow_hand_over(
    odd: Callable[..., Path], monkeypatch: Patch, slow: str, renewals: int
) -> None:
    """A method process ends after each cell, and a thread of the engine is late: no cell is lost, nothing stalls."""
    place, name = {
        "hand-over": (slots.LocalSlot, "_give"),
        "answer": (slots.LocalSlot, "_settle"),
        "renewal": (launcher.ForkLauncher, "_ask"),
        "end": (loop.Engine, "_wait"),
    }[slow]
    real, calls = getattr(place, name), []

    def late(*arguments: Any) -> Any:
        calls.append(time.monotonic())
        time.sleep(0.3)
        return real(*arguments)

    monkeypatch.setattr(place, name, late)
    found = api.run(
        methods=["odd", "noisy"], sigma=25, dataset="sk12", images=["01"], metrics=["psnr"], seeds=renewals,
        timing=False, jobs=2, keep_images="none", plugins=[odd("raise MemoryError('enough')")],
    )  # fmt: skip
    assert len(calls) > 1, "nothing was late"
    assert found.counts == {"ok": renewals, "oom": renewals}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("what", ["torch", "the bench"])
def test_fault_41_no_worker_can_begin(workspace: Path, begin: Any, monkeypatch: Patch, start: str, what: str) -> None:
    """An old torch, or a process that dies at its start: the run ends soon, with exit 3 and the reason."""
    broken = workspace / "broken"
    broken.mkdir()
    if what == "torch":
        (broken / "torch.py").write_text("from torch.nothing import attention\n", encoding="utf-8")
    else:
        text = "import os, sys\nif '-c' in sys.orig_argv: os._exit(7)\n"  # as servers and spawned processes begin
        (broken / "sitecustomize.py").write_text(text, encoding="utf-8")
    began = time.monotonic()
    run = begin("run", "--methods", "noisy", "--sigma", 25, "--dataset", "sk12", "--metrics", "psnr", "--no-timing",
                "--jobs", 2, PYTHONPATH=str(broken), MDNBENCH_START=start)  # fmt: skip
    _, err = run.communicate(timeout=120)
    assert time.monotonic() - began < 30
    assert run.returncode == 3, err
    assert "no worker process can" in err.splitlines()[-1] or "server of worker processes" in err.splitlines()[-1]
    assert "Traceback" not in err or what == "torch"


def test_fault_41_a_run_in_which_nothing_can_move_ends(odd: Callable[..., Path], monkeypatch: Patch) -> None:
    """A hand-over that never comes, which no deadline of its own covers: the watchdog ends the run and says why."""
    taken: list[Any] = []
    monkeypatch.setattr(slots.LocalSlot, "_give", lambda self, *given: taken.append(given))
    monkeypatch.setattr(slots, "SILENT_BENCH_S", 0.5)
    with pytest.raises(MdnbenchError, match=r"nothing moves: noisy on 01 .* --timeout 1 allows.*the same command"):
        api.run(methods=["noisy"], sigma=25, dataset="sk12", images=["01"], metrics=["psnr"], timing=False, timeout=1)
    assert taken, "nothing was handed over"
    assert MdnbenchError.exit_code == 3


STUCK = {
    "lock": "re.match(r'(a+)+$', 'a' * 60 + 'b')",  # for ever, with the interpreter's lock held
    "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
    "server": "os.kill(os.getppid(), signal.SIGSTOP), time.sleep(600)",
    "child": "subprocess.Popen(['sleep', '600']), time.sleep(600)",
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("name", STUCK)
def test_fault_42_a_killed_run_leaves_no_process(
    odd: Callable[..., Path], begin: Any, outside: Any, workspace: Path, start: str, name: str
) -> None:
    """Whatever its processes were at: five seconds after `kill -9`, none is left, and no temporary file."""
    if (name, start) == ("server", "spawn"):
        pytest.skip("there is no server")
    scratch = workspace / "scratch"
    scratch.mkdir()
    code = f"Path('worker.pid').write_text(str(os.getpid())), {STUCK[name]}"
    run = begin("run", "--plugin", odd(code, "import re, subprocess"), "--methods", "odd", "--sigma", 25,
                "--dataset", "sk12", "--images", "01", "--metrics", "psnr", "--no-timing", "--jobs", 1,
                MDNBENCH_START=start, TMPDIR=str(scratch))  # fmt: skip
    outside.wait(lambda: Path("worker.pid").exists() and Path("worker.pid").read_text())
    time.sleep(0.5)
    family = [run.pid, *(each.pid for each in psutil.Process(run.pid).children(recursive=True))]
    worker = int(Path("worker.pid").read_text())
    assert psutil.pid_exists(worker)
    run.send_signal(signal.SIGKILL)
    run.wait()
    outside.wait(lambda: not [pid for pid in {*family, worker} if alive(pid)], seconds=5)
    if start == "fork":
        outside.wait(lambda: not list(scratch.glob("mdnbench-*")), seconds=5)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_fault_43_progress_says_what_runs_and_for_how_long(odd: Callable[..., Path]) -> None:
    """From the first second, while no cell finishes; what the store already had is counted."""
    keys: dict[str, Any] = {"sigma": 25, "dataset": "sk12", "images": ["01"], "metrics": ["psnr"], "timing": False}
    plugins = [odd("time.sleep(4)")]
    api.run(methods=["noisy"], **keys)
    heard, began = Heard(), time.monotonic()
    api.run(methods=["noisy", "odd"], plugins=plugins, jobs=1, listener=heard, **keys)
    said = [line for line in heard.lines if line.doing.startswith("odd 01")]
    assert {"1 from the store"} == {line.detail for line in said}
    assert said[0].at - began < 30  # the plugin's first import, in a child, comes before
    seconds = [int(found[1]) for line in said if (found := re.search(r"odd 01 for (\d+) s", line.doing))]
    assert len(set(seconds)) > 1, said


def test_fault_43_a_terminal_shows_what_runs_and_what_is_waited_for(
    odd: Callable[..., Path], begin: Any, outside: Any, workspace: Path
) -> None:
    """The bar names method and image while the first cell runs, then its seconds; Ctrl-C repeats it in a line."""
    import pty

    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    said = ""

    def shown(pattern: str) -> bool:
        nonlocal said
        with contextlib.suppress(OSError):  # nothing new, or the end
            said += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(ours, 65536).decode(errors="replace"))
        return bool(re.search(pattern, said))

    whole = [
        sys.executable, "-m", "mdnbench", "run", "--plugin", odd("time.sleep(8)"), "--methods", "odd", "--sigma", "25",
        "--dataset", "sk12", "--images", "01,02", "--metrics", "psnr", "--no-timing", "--jobs", "1",
    ]  # fmt: skip
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160"}
    with subprocess.Popen(
        whole, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, start_new_session=True
    ) as run:
        os.close(theirs)
        outside.wait(lambda: shown(r"0/2 .*odd 01"))
        outside.wait(lambda: shown(r"odd 01 for \d+ s"))
        os.killpg(run.pid, signal.SIGINT)
        outside.wait(lambda: shown(r"Waiting for odd 01 for \d+ s\."))
        outside.wait(lambda: shown("goes on from there"))
        assert run.wait(60) == 130, said
    os.close(ours)


LONG = {
    "an exception": ("raise ValueError('\\x1b[31mA' * 20_000_000)", "failed"),
    "memory": ("raise MemoryError('A' * 120_000_000)", "oom"),
    "unavailable": ("raise mdnbench.Unavailable('A' * 120_000_000)", "skipped"),
    "wide characters": ("raise ValueError('\\U0001f642' * 30_000_000)", "failed"),
    "an exception's name": ("raise type('A' * 120_000_000, (Exception,), {})('x')", "failed"),
}


@pytest.mark.parametrize("name", LONG)
def test_fault_44_texts_from_outside_are_cut(odd: Callable[..., Path], name: str) -> None:
    """At 64 KiB, with their length, once, whatever a method says."""
    code, status = LONG[name]
    found = api.run(
        methods=["odd"], sigma=25, dataset="sk12", images=["01"], metrics=["psnr"], timing=False, jobs=1,
        plugins=[odd(code)],
    )  # fmt: skip
    (row,) = found.rows()
    assert row.status == status
    for text in (row.reason, row.traceback):
        assert len(text.encode()) <= 66 * 1024
    assert row.reason.count("(cut: ") == 1
    assert re.search(r"cut: (1[02]\d|30),\d{3},\d{3} characters in all", row.reason)


def test_fault_44_what_a_plugin_says_at_import_is_cut(workspace: Path, cli: Any) -> None:
    """Its message in a list and in an error."""
    path = workspace / "long.py"
    path.write_text(textwrap.dedent("raise ValueError('A' * 120_000_000)"), encoding="utf-8")
    done = cli("list", "--plugin", path)
    assert done.returncode == 2
    assert len(done.stderr) <= 66 * 1024
    assert done.stderr.count("cut: 120,000,0") == 1


@pytest.mark.full
@pytest.mark.parametrize("error", ["ValueError", "mdnbench.Unavailable"])
def test_fault_44_what_a_plugin_says_in_the_command_is_cut(plugin: Callable[..., Path], cli: Any, error: str) -> None:
    """An image that cannot be loaded, whatever error says so."""
    path = plugin(f"""
        def fail(*arguments):
            raise {error}("A" * 120_000_000)

        @mdnbench.hookimpl
        def mdnbench_datasets():
            return [mdnbench.DatasetSpec("long", "x", "test", 1, ("a",), fail)]
    """)
    done = cli("plan", "--methods", "median", "--sigma", 25, "--dataset", "long", "--plugin", path)
    assert done.returncode in (2, 3)
    assert len(done.stderr) <= 66 * 1024
    assert done.stderr.count("cut: 120,000,000") == 1

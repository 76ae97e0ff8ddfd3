"""Calls of plugins in the process of a command that do not return: each ends with the reason and exit code 3."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psutil
import pytest

from mdnbench.util import time_limit

Plugin = Callable[..., Path]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]

SLEEPS = "time.sleep(1000)"
LIMIT = {"MDNBENCH_PLUGIN_SECONDS": "2"}
PLAN = ("plan", "--methods", "median", "--sigma", 25, "--metrics", "psnr")

# Ways to hang, from polite to impossible to interrupt. No signal ends the last one: it holds the interpreter's lock.
WAYS = {
    "sleeps": SLEEPS,
    "retries": """
        while True:
            try:
                time.sleep(1000)
            except Exception:
                pass
    """,
    "catches all": """
        while True:
            try:
                time.sleep(1000)
            except:
                pass
    """,
    "raises another": """
        try:
            time.sleep(1000)
        finally:
            raise ValueError("no image")
    """,
    "returns late": """
        try:
            time.sleep(1000)
        except BaseException:
            return np.zeros((64, 64), np.float32)
    """,
    "regex": "re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "C code": "collections.deque(itertools.repeat(0), maxlen=0)",
}
FULL = ("retries", "raises another", "returns late", "regex")

HEAD = "import collections, itertools, os, re, time\nimport numpy as np\n"
DATASET = """
def load(image):
{body}

@mdnbench.hookimpl
def mdnbench_datasets():
    return [mdnbench.DatasetSpec("slow", "x", "test", 1, ("a",), load)]
"""


@pytest.fixture
def slow(plugin: Plugin) -> Callable[[str], Path]:
    """`slow(code)` is a plugin file with a data set whose `load` runs this code."""

    def write(code: str) -> Path:
        lines = [line for line in code.splitlines() if line.strip()]
        margin = min(len(line) - len(line.lstrip()) for line in lines)
        body = "\n".join("    " + line[margin:] for line in lines)
        return plugin(HEAD + DATASET.format(body=body), "slow")

    return write


def ended(done: subprocess.CompletedProcess[str], doing: str) -> None:
    """A command has ended with exit code 3 and with one line, the reason."""
    assert done.returncode == 3, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "did not return" in line]
    assert line.startswith(f"mdnbench: {doing}")
    assert "did not return within 2 s. If it needs more time, set MDNBENCH_PLUGIN_SECONDS" in line
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("way", [pytest.param(way, marks=pytest.mark.full) if way in FULL else way for way in WAYS])
def test_fault_43_an_image_that_is_never_loaded(slow: Callable[[str], Path], cli: Cli, way: str) -> None:
    """A plan that loads it ends with the reason, whatever the plugin does about being interrupted."""
    done = cli(*PLAN, "--dataset", "slow", "--plugin", slow(WAYS[way]), **LIMIT)
    ended(done, "the function `load` of 'slow' in")
    assert done.stdout == ""


def test_fault_43_images_that_threads_load(slow: Callable[[str], Path], cli: Cli) -> None:
    """The search for leaks loads images in threads, which no exception can reach."""
    folder = str(slow(SLEEPS).parent)
    done = cli("data", "leaks", "--train", "sk12", "--test", "slow", MDNBENCH_PLUGINS=folder, **LIMIT)
    ended(done, "the function `load` of 'slow' in")


OTHERS = """
def hang(*arguments, **options):
    time.sleep(1000)

@mdnbench.hookimpl
def mdnbench_metrics():
    return [mdnbench.MetricSpec("late", "1", "x", "higher", lambda device: None, prepare=hang)]

@mdnbench.hookimpl
def mdnbench_reporters():
    return [mdnbench.ReporterSpec("late", "x", hang)]
"""


def test_fault_43_a_metric_that_is_never_prepared(plugin: Plugin, cli: Cli) -> None:
    """The run ends before it computes anything."""
    path = plugin(HEAD + OTHERS, "others")
    run = ("run", "--methods", "median", "--sigma", 25, "--dataset", "sk12", "--images", "01", "--metrics", "late")
    ended(cli(*run, "--plugin", path, **LIMIT), "the function `prepare` of 'late' in")


@pytest.mark.full
def test_fault_43_the_doctor_names_a_metric_that_is_never_prepared(plugin: Plugin, cli: Cli) -> None:
    """It is a problem, and the rest is looked at."""
    done = cli("doctor", "--plugin", plugin(HEAD + OTHERS, "others"), **LIMIT)
    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    assert "metric late: the function `prepare` of 'late' in" in text
    assert "did not return within 2 s." in text
    assert "weights" in text


@pytest.mark.full
def test_fault_43_a_report_that_is_never_written(plugin: Plugin, cli: Cli) -> None:
    """The command that wanted the report ends."""
    path = plugin(HEAD + OTHERS, "others")
    run = cli(
        "run", "--methods", "median", "--sigma", 25, "--dataset", "sk12", "--images", "01", "--metrics", "psnr",
        "--no-timing", "--out", "short",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    ended(cli("report", "short", "--to", "late", "--plugin", path, **LIMIT), "the function `write` of 'late' in")


NETWORK = """
from pathlib import Path

@mdnbench.hookimpl
def mdnbench_denoisers():
    hang = lambda **options: time.sleep(1000)
    here = Path(__file__).parent
    trainable = mdnbench.Trainable(hang, hang, here, here, convert=lambda state: (state, {}))
    return [mdnbench.DenoiserSpec("late", "1", "x", lambda *given: None, trainable=trainable)]
"""


@pytest.mark.full
def test_fault_43_a_network_that_is_never_made(plugin: Plugin, cli: Cli, tmp_path: Path) -> None:
    """`weights inspect` asks each learned method for the shapes of its networks."""
    import torch

    torch.save({"a": torch.zeros(3)}, tmp_path / "a.pth")
    path = plugin(HEAD + NETWORK, "late")
    ended(cli("weights", "inspect", "a.pth", "--plugin", path, **LIMIT), "the function `network` of 'late' in")


def test_fault_43_an_import_that_hangs_after_its_trial(plugin: Plugin, cli: Cli) -> None:
    """What went well in the trial hangs in the command: it is broken, as if the trial had found it."""
    path = plugin(HEAD + "if 'MDNBENCH_TRIAL' not in os.environ: time.sleep(1000)\n" + OTHERS, "others")
    done = cli("list", MDNBENCH_PLUGINS=str(path.parent), **LIMIT)
    assert done.returncode == 0
    assert "did not return within 2 s" in " ".join((done.stdout + done.stderr).split())


CONTENT = bytes(30)


class Drip(BaseHTTPRequestHandler):
    """Sends thirty bytes in six seconds."""

    def do_GET(self) -> None:
        """Answer slowly."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        for byte in CONTENT:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.2)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def test_a_download_may_take_longer_while_bytes_come(
    slow: Callable[[str], Path], cli: Cli, serving: Callable[..., Any]
) -> None:
    """Each byte begins the time again; what follows in the same call has its own time."""
    address = f"http://127.0.0.1:{serving(Drip).server_address[1]}/a.bin"
    digest = hashlib.sha256(CONTENT).hexdigest()
    path = slow(f"""
        from mdnbench import data
        file = mdnbench.DataFile("a.bin", "{digest}", {len(CONTENT)}, ("{address}",))
        start = time.monotonic()
        data.locate("datasets/slow", file)
        assert time.monotonic() - start > 4
        return np.zeros((64, 64), np.float32)
    """)
    done = cli(*PLAN, "--dataset", "slow", "--plugin", path, MDNBENCH_OFFLINE=None, NO_PROXY="127.0.0.1", **LIMIT)
    assert done.returncode == 0, done.stderr


def test_a_killed_command_leaves_no_watchdog(
    slow: Callable[[str], Path], begin: Callable[..., Any], wait: Any, workspace: Path
) -> None:
    """Neither `kill -9` nor an end by time leaves the process that watches."""
    path = slow("open('loading', 'w').close(); time.sleep(1000)")
    command = begin(*PLAN, "--dataset", "slow", "--plugin", path)
    wait((workspace / "loading").exists)
    watching = [each for each in psutil.Process(command.pid).children() if "watchdog.py" in " ".join(each.cmdline())]
    assert len(watching) == 1
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    wait(lambda: not watching[0].is_running(), 5)


SIGNALS = """
    import faulthandler, pathlib, signal, sys
    from mdnbench.util import time_limit

    def handlers():  # what the system calls: the masks of ignored and caught signals, and what Python knows
        status = pathlib.Path("/proc/self/status").read_text().splitlines()
        masks = [line for line in status if line.startswith(("SigIgn", "SigCgt"))]
        return masks, signal.getsignal(signal.SIGQUIT), signal.getsignal(signal.SIGURG)

    time_limit.enable()
    before = handlers()
    for _ in range(2):
        with time_limit.time_limit("one"), time_limit.time_limit("another"):
            assert handlers() != before
        assert handlers() == before
    faulthandler.register(signal.SIGQUIT, sys.stdout)
    faulthandler.register(signal.SIGURG, sys.stdout)
    with time_limit.time_limit("one"):
        pass
    signal.raise_signal(signal.SIGQUIT)
    signal.raise_signal(signal.SIGURG)
    assert time_limit._library.cache_info().misses == 1
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_after_a_call_its_signals_do_what_they_did_before() -> None:
    """The default, or what C code has set."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SIGNALS)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("most recent call first") == 2


def test_a_program_that_imports_mdnbench_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is not ours to end, so no watchdog is started."""
    monkeypatch.setenv("MDNBENCH_PLUGIN_SECONDS", "0.1")
    before = {each.pid for each in psutil.Process().children()}
    with time_limit.time_limit("this test waits"):
        time.sleep(0.3)
    assert {each.pid for each in psutil.Process().children()} <= before

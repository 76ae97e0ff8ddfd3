"""What all tests share: an empty workspace of their own, plugins from text, the real command line, a finished run."""

from __future__ import annotations

import contextlib
import gc
import getpass
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Whatever the person who runs the tests has set must not reach them.
FOREIGN = ("MDNBENCH_PLUGINS", "GITHUB_STEP_SUMMARY", "FORCE_COLOR", "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE")
# All tests share what numba has compiled, although each has a home of its own.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"mdnbench-numba-{getpass.getuser()}"))
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PLAIN = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}

MOONS = """
from pathlib import Path

import skimage

from mdnbench.data import images

def load(name):
    picture = images.to_gray(images.read_image(Path(skimage.__file__).parent / "data" / "moon.png"))
    return picture[64 * int(name) :, 100:][:64, :64]

@mdnbench.hookimpl
def mdnbench_datasets():
    return [mdnbench.DatasetSpec("moons", "pieces of the moon", "train", 1, ("1", "2", "3"), load)]
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--full` runs the slow tests too."""
    parser.addoption("--full", action="store_true", help="run the tests marked `full` as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the slow tests unless they were asked for."""
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="slow; runs with --full"))


@pytest.fixture(scope="session", autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No network, a home of the tests' own, and nothing of the surroundings but MDNBENCH_DATA_PATH."""
    with pytest.MonkeyPatch.context() as patch:
        for name in FOREIGN:
            patch.delenv(name, raising=False)
        for name, value in PLAIN.items():
            patch.setenv(name, value)
        patch.setenv("MDNBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("MDNBENCH_OFFLINE", "1")
        yield


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as working directory, with an empty home inside: no test writes anywhere else."""
    monkeypatch.setenv("MDNBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has no data files at all."""
    monkeypatch.delenv("MDNBENCH_DATA_PATH", raising=False)


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., Path]:
    """`plugin(text, name="own")` writes a plugin file and gives its path."""

    def write(text: str, name: str = "own") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text("import mdnbench\n" + textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def moons(plugin: Callable[..., Path]) -> Path:
    """A plugin file with three pieces of scikit-image's photograph of the moon, to train on."""
    return plugin(MOONS, "moons")


@pytest.fixture(scope="session")
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`cli("run", …)` runs the real command line by itself; `cwd`, `timeout` and variables as keywords."""

    def run(
        *arguments: object, cwd: Path | None = None, timeout: float = 120, **variables: str | None
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **variables}
        return subprocess.run(
            [sys.executable, "-m", "mdnbench", *map(str, arguments)],
            capture_output=True, text=True, encoding="utf-8", cwd=cwd, timeout=timeout, check=False,
            env={name: value for name, value in environment.items() if value is not None},
        )  # fmt: skip

    return run


@pytest.fixture
def serving() -> Iterator[Callable[[type[BaseHTTPRequestHandler]], ThreadingHTTPServer]]:
    """`serving(Handler)` is a server on a free port of this machine, until the test ends."""
    with contextlib.ExitStack() as ends:

        def start(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
            server = ends.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            ends.callback(thread.join)
            ends.callback(server.shutdown)
            return server

        yield start


@dataclass(frozen=True)
class Said:
    """What a command said: its exit code, its data, and everything else."""

    code: int
    out: str
    err: str

    def complaint(self) -> str:
        """The one line that a mistake gets, on stderr; nothing may stand on stdout."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("mdnbench: ")
        return line


@pytest.fixture
def mdnbench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """`mdnbench("run", …)` is the command line's own entry point, without the seconds that a process takes."""
    from mdnbench.cli import command

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["mdnbench", *map(str, arguments)])
        capsys.readouterr()
        gc.freeze()  # so that the collection below looks at what the command has made, and at nothing else
        try:
            command()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1 if end.code else 0
        finally:
            gc.collect()  # closes the stores that a process of its own would close by ending
            gc.unfreeze()
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def begin(workspace: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`begin("run", …)` starts the real command line and comes back at once; what is left of it ends with the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "mdnbench", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | variables,
            start_new_session=True,
        )  # fmt: skip
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def wait() -> Callable[..., None]:
    """`wait(until, seconds=90)` waits for something to be true; the test fails where it does not come."""
    return _wait


def _wait(until: Callable[[], Any], seconds: float = 90) -> None:
    start = time.monotonic()
    while not until():
        assert time.monotonic() - start < seconds, "what was waited for did not come"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run that tests read and never change: two methods on two images of sk12 under two noises."""
    from mdnbench import api

    folder = tmp_path_factory.mktemp("finished")
    return api.run(
        methods=["noisy", "median"], noise=["gaussian:50", "gaussian:25"], dataset="sk12", images=["01", "02"],
        metrics=["psnr", "ssim"], timing=False, jobs=1, out="done", workspace_folder=folder / ".mdnbench",
    )  # fmt: skip


@dataclass
class DaskCluster:
    """A real scheduler and real workers, each a process of its own in an empty folder with an empty home."""

    folder: Path
    address: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def begin(self, kind: str, name: str, *options: object, **variables: str | None) -> subprocess.Popen[bytes]:
        """Start `dask scheduler` or `dask worker` in the folder of this name, with nothing of ours around it."""
        folder = self.folder / name
        (folder / "home").mkdir(parents=True)
        home = {"HOME": str(folder / "home"), "MDNBENCH_HOME": str(folder / "home"), "MDNBENCH_DATA_PATH": None}
        environment = {**os.environ, **home, **variables}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *map(str, options), "--no-dashboard"],
                stdout=log, stderr=log, cwd=folder,
                env={key: value for key, value in environment.items() if value is not None},
            )  # fmt: skip
        self.processes.append(process)
        return process

    def start(self) -> None:
        """Start the scheduler, and learn its address."""
        file = self.folder / "scheduler.json"
        host = "tls://127.0.0.1" if "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in os.environ else "127.0.0.1"
        self.begin("scheduler", "scheduler", "--host", host, "--port", 0, "--scheduler-file", file)
        _wait(lambda: file.exists() and file.read_text(), 60)
        self.address = json.loads(file.read_text())["address"]

    def worker(self, name: str, **variables: str | None) -> subprocess.Popen[bytes]:
        """Start a worker of one thread that nobody starts again when it dies."""
        return self.begin(
            "worker", name, self.address, "--no-nanny", "--nthreads", 1, "--local-directory", "scratch", **variables
        )


@pytest.fixture
def dask_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A scheduler that runs; its processes end with the test."""
    pytest.importorskip("distributed", reason="Dask is not installed")
    cluster = DaskCluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        for process in cluster.processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip(f"there is no browser at {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()

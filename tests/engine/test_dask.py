"""The engine `dask`: real schedulers and workers that share no folder, and the same digits as the local engine's."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import psutil
import pytest
from made_records import run_facts

import mdnbench
from mdnbench import api, registry
from mdnbench.engine.coordinator import on_machines
from mdnbench.engine.dask import connection, engine
from mdnbench.engine.dask.remote_slots import WorkerConnection, WorkerLost
from mdnbench.errors import BadOption, UsageError
from mdnbench.planning import environment
from mdnbench.planning.request import Request
from mdnbench.util.listener import Listener

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")

# Everything that the worker process opens is written down in its own folder, and it waits there for a file.
PLUGIN = """
import os, sys, time
from pathlib import Path

opened = set()
sys.addaudithook(lambda event, arguments: opened.add(str(arguments[0])) if event == "open" else None)

def denoise(noisy, noise):
    Path("opened.log").write_text("\\n".join([str(os.getpid()), __file__, *opened]))
    while not Path("go").exists():
        time.sleep(0.02)
    return (noisy * 0.9 + 0.05).clone()

@mdnbench.hookimpl
def mdnbench_denoisers():
    build = lambda options, device, weights: denoise
    return [mdnbench.DenoiserSpec(name, "1", name, build) for name in ("seen", "seen-too")]
"""
DIGITS = ("image", "noise", "seed", "method", "status", "psnr", "ssim", "lpips", "noisy_digest", "output_digest")


@pytest.fixture
def tiles(workspace: Path) -> Path:
    """A folder of four small images."""
    sk12 = registry.load().datasets["sk12"]
    (workspace / "tiles").mkdir()
    for name in ("01", "04", "06", "08"):
        cut = sk12.load(name)[:64, :48]
        PIL.Image.fromarray((cut * 255).round().astype("uint8")).save(workspace / "tiles" / f"{name}.png")
    return workspace / "tiles"


def command(*flags: object, **keys: object) -> list[str]:
    """The arguments of a run of these keys."""
    said = [f"--{key.replace('_', '-')}={value}" for key, value in keys.items()]
    return ["run", *said, *map(str, flags), "--no-timing", "--json"]


def digits(printed: str) -> list[tuple[Any, ...]]:
    """All that must be equal to the last digit, and the keys of the outputs."""
    cells = [{**cell, **cell["scores"]} for cell in json.loads(printed)["cells"]]
    return sorted(tuple(str(cell.get(name)) for name in (*DIGITS, "output")) for cell in cells)


@pytest.mark.full
@pytest.mark.parametrize(
    ("methods", "metrics", "seeds"),
    [
        ("dncnn", "psnr,ssim", 2),
        pytest.param("dncnn,bm3d,masked-unet,unet[precision=int8]", "all", 2, marks=pytest.mark.full),
    ],
)
def test_workers_that_share_no_folder_and_one_of_them_killed(
    dask_cluster: Any, begin: Any, cli: Any, wait: Any, tiles: Path, plugin: Callable[..., Path], workspace: Path,
    methods: str, metrics: str, seeds: int,
) -> None:  # fmt: skip
    """Images, weights and a plugin travel; one of two workers dies in mid-run; all digits are the local engine's."""
    keys: dict[str, object] = {
        "methods": f"seen,seen-too,{methods}", "sigma": "25,50", "dataset": tiles, "metrics": metrics, "seeds": seeds,
        "plugin": plugin(PLUGIN), "keep_images": "all", "out": "whole",
    }  # fmt: skip
    folders = [dask_cluster.folder / name for name in ("one", "two")]
    first, second = (dask_cluster.worker(folder.name) for folder in folders)
    if hasattr(os, "sched_setaffinity"):  # with a core of its own alone, it is another machine than this one
        os.sched_setaffinity(second.pid, {min(os.sched_getaffinity(0))})
    run = begin(*command(**keys, engine="dask", scheduler=dask_cluster.address))
    wait(lambda: all(len(opened(folder)) > 2 for folder in folders))  # both have a cell in hand, which waits
    first.send_signal(signal.SIGKILL)
    (folders[1] / "go").touch()
    out, err = run.communicate(timeout=400)
    assert run.returncode == 0, err
    assert "is gone; what it had goes to another one" in err
    wait(lambda: not psutil.pid_exists(int(opened(folders[0])[0])), 20)
    for folder in folders:
        _, own, *paths = opened(folder)
        assert Path(own).is_relative_to(folder / "scratch")
        assert not [path for path in paths if path.startswith(str(workspace))]
    local = workspace / "local"
    local.mkdir()
    (local / "go").touch()
    done = cli(*command(**keys, jobs=1), cwd=local, timeout=400)
    assert done.returncode == 0, done.stderr
    assert digits(out) == digits(done.stdout)
    assert len(digits(out)) == 4 * 2 * seeds * (2 + len(methods.split(",")))
    assert {cell["status"] for cell in json.loads(out)["cells"]} <= {"ok", "skipped"}
    assert images(workspace) == images(local)
    made = api.open_run("whole")
    assert made.run.facts.environment.cores == (1 if hasattr(os, "sched_setaffinity") else environment.cores())
    assert {row.provenance.machine for row in made.rows()} == {made.run.facts.environment.machine_id}


SLOW = """
import time

def denoise(noisy, noise):
    time.sleep(0.4)
    return noisy.clone()

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("slow", "1", "slow", lambda options, device, weights: denoise)]
"""


@pytest.mark.full
def test_a_line_that_breaks_costs_the_worker_nothing(
    dask_cluster: Any, plugin: Callable[..., Path], tiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is still there is welcomed again at once; its former host, on its way out, leaves the new one."""
    dask_cluster.worker("one")
    work, broken, notes = WorkerConnection.work, iter([True]), list[str]()

    def breaks(self: WorkerConnection, number: int, tasks: Sequence[Any]) -> Any:
        reply = work(self, number, tasks)
        if next(broken, False):
            raise WorkerLost("the line broke")
        return reply

    class Notes(Listener):
        def note(self, text: str) -> None:
            notes.append(text)

    monkeypatch.setattr(WorkerConnection, "work", breaks)
    monkeypatch.setattr(engine, "MUSTER_S", 0.02)  # before the former host has noticed
    found = api.run(
        methods="slow", noise=["gaussian:25", "gaussian:50"], dataset=str(tiles), metrics="psnr", timing=False,
        plugins=[plugin(SLOW)], engine="dask", scheduler=dask_cluster.address, listener=Notes(),
    )  # fmt: skip
    assert found.counts == {"ok": 8}
    assert len([note for note in notes if "is gone" in note]) == 1


@pytest.mark.full
def test_kept_outputs_travel_to_be_scored(dask_cluster: Any, tiles: Path) -> None:
    """A metric more, asked of a cluster: no method runs again, and its values are those of the local engine."""
    dask_cluster.worker("one")
    keys: dict[str, Any] = {
        "methods": ["median", "nlm"], "sigma": 25, "dataset": str(tiles), "timing": False, "seeds": 2,
        "keep_images": "all",
    }  # fmt: skip
    both = {"metrics": ["psnr", "ssim"], "workspace_folder": Path("local")}
    first = api.run(**keys, metrics="psnr")
    there = api.run(**keys, metrics=["psnr", "ssim"], engine="dask", scheduler=dask_cluster.address)
    here = api.run(**keys, **both)
    assert there.tally is not None
    assert (there.tally.rescored, there.tally.computed) == (16, 0)
    assert [row["seconds"] for row in there.records()] == [row["seconds"] for row in first.records()]
    assert [row["ssim"] for row in there.records()] == [row["ssim"] for row in here.records()]


@pytest.fixture
def certificates(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of our own, which Dask finds in its configuration for every part."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("there is no openssl")
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"]
    made += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(made, cwd=workspace, capture_output=True, check=True)
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TLS__CA_FILE", str(workspace / "cert.pem"))
    for part in ("SCHEDULER", "WORKER", "CLIENT"):
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{part}__CERT", str(workspace / "cert.pem"))
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{part}__KEY", str(workspace / "key.pem"))


@pytest.mark.full
def test_a_cluster_behind_tls(certificates: None, dask_cluster: Any, tiles: Path, cli: Callable[..., Any]) -> None:
    """With certificates in Dask's configuration a run goes through; without them one line says what is missing."""
    dask_cluster.worker("one")
    assert dask_cluster.address.startswith("tls://")
    asked = ("run", "--methods", "noisy", "--sigma", 50, "--dataset", tiles, "--metrics", "psnr", "--no-timing",
             "--engine", "dask", "--scheduler", dask_cluster.address)  # fmt: skip
    done = cli(*asked)
    assert done.returncode == 0, done.stderr
    done = cli(*asked, "--fresh", DASK_DISTRIBUTED__COMM__TLS__CA_FILE=None)
    assert done.returncode == 2, done.stderr
    assert "needs certificates" in done.stderr


@pytest.mark.full
def test_workers_are_free_again_when_the_run_was_killed(
    dask_cluster: Any, begin: Any, wait: Any, tiles: Path, plugin: Callable[..., Path]
) -> None:
    """Whatever way a coordinator ends, its worker processes end and what it sent is removed; the Dask worker stays."""
    worker, folder = dask_cluster.worker("one"), dask_cluster.folder / "one"
    keys = {"methods": "seen", "sigma": 50, "dataset": tiles, "metrics": "psnr", "plugin": plugin(PLUGIN)}
    run = begin(*command(**keys, engine="dask", scheduler=dask_cluster.address))
    wait(lambda: len(opened(folder)) > 2)
    slot = int(opened(folder)[0])
    assert list((folder / "scratch").rglob("own.py"))
    run.send_signal(signal.SIGKILL)
    wait(lambda: not psutil.pid_exists(slot) and not list((folder / "scratch").rglob("own.py")), 30)
    assert worker.poll() is None


def test_a_worker_that_computes_otherwise_is_refused(
    dask_cluster: Any, tiles: Path, workspace: Path, cli: Callable[..., Any]
) -> None:
    """Another numpy, or a line more in mdnbench's own source, and nothing is computed there: exit code 2 says why."""
    other = workspace / "other"
    shutil.copytree(Path(mdnbench.__file__).parent, other / "mdnbench", ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "mdnbench" / "evaluation" / "rng.py").open("a") as file:
        file.write("# another line\n")
    (other / "numpy-1.0.dist-info").mkdir()
    (other / "numpy-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    dask_cluster.worker("one", PYTHONPATH=str(other))
    done = cli("run", "--methods", "noisy", "--sigma", 50, "--dataset", tiles, "--metrics", "psnr", "--no-timing",
               "--engine", "dask", "--scheduler", dask_cluster.address)  # fmt: skip
    assert done.returncode == 2, done.stderr
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("mdnbench:"))
    assert "no worker of the Dask cluster can be used" in said
    assert re.search(r"mdnbench is 0\.1\.0 \(source \w{12}\) there and 0\.1\.0 \(source \w{12}\) here", said)
    assert re.search(r"numpy is 1\.0 there and 2\.\S+ here", said)


def test_a_run_on_several_kinds_of_machine_says_so() -> None:
    """A run's environment is that of its workers, all processors named; what may differ between them is noted."""
    mine = environment.here()
    cpus = {"a": "old", "b": "new", "c": "old"}
    others = {name: replace(mine, machine_id=name, cpu=cpu) for name, cpu in cpus.items()}
    found = on_machines(run_facts(notes=("first",)), others)
    assert found.environment.cpu == "old, new"
    assert list(found.machines) == ["a", "b", "c"]
    assert found.notes == (
        "first", "the cells ran on 3 machines: old, new.", "different processors may differ in a score's last digits."
    )  # fmt: skip
    assert on_machines(run_facts(), {"a": others["a"]}).notes == ()


def test_what_cannot_be_is_refused_before_anything_is_computed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that is none, one without its engine, one where nobody answers, and Dask that is not installed."""
    for keys in ({"scheduler": "tcp://here:8786"}, {"scheduler": "here", "engine": "dask"}):
        with pytest.raises(
            BadOption, match="the address of a Dask scheduler, as tcp://HOST:8786, together with --engine dask"
        ):
            Request(**keys)
    asked: dict[str, Any] = {"methods": "noisy", "sigma": 50, "dataset": "sk12", "images": "01", "metrics": "psnr"}
    monkeypatch.setattr(connection, "DASK_CONNECT_S", 1.0)
    with pytest.raises(UsageError, match=r"no Dask scheduler can be reached at 'tcp://127\.0\.0\.1:9'"):
        api.run(**asked, engine="dask", scheduler="tcp://127.0.0.1:9", timing=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BadOption, match=r"pip install 'mdnbench\[dask\]'"):
        api.run(**asked, engine="dask", timing=False)


def opened(folder: Path) -> list[str]:
    """What the worker process of a Dask worker noted: its number, the plugin's file, and all files it opened."""
    log = folder / "opened.log"
    return log.read_text().splitlines() if log.exists() else []


def images(folder: Path) -> set[str]:
    """The kept outputs of a workspace, by their content."""
    return {path.name for path in (folder / ".mdnbench" / "images").rglob("*.npy")}

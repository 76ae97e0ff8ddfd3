"""Plugins that raise, hang, crash, eat memory or leave a mess: each costs its own cell alone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch

from mdnbench import api
from mdnbench.results import Results
from mdnbench.spec.records import Tally
from mdnbench.store import CellRow

# Each method but `mess` misbehaves in its first call and is good in its second, so that both images tell something.
PLUGIN = '''
import ctypes, os, random, signal, subprocess, sys, time
from pathlib import Path
import mdnbench


def first(name):
    """Whether this method is called for the first time, in whatever process."""
    try:
        Path(f"{name}.called").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def child(name, command="exec sleep 600", **how):
    """A process of the plugin's own, which nobody would end if the harness did not."""
    Path(f"{name}.child").write_text(str(subprocess.Popen(["sh", "-c", command], **how).pid))


def raises(noisy):
    raise RuntimeError("no luck\\nat all")


def quits(noisy):
    sys.exit("enough of this")


def hangs(noisy):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child("hangs", "sleep 600 & echo $! > hangs.grandchild; wait")
    child("apart", start_new_session=True)
    time.sleep(600)


def segfaults(noisy):
    child("segfaults")
    time.sleep(0.6)  # until the watch has seen this process
    ctypes.string_at(0)


def exits(noisy):
    os._exit(7)


def leaves(noisy):
    os._exit(0)


def eats(noisy):
    held = []
    while len(held) < 16:  # 4 GiB at the most, should nobody stop it
        held.append(bytearray(b"x") * 2**28)
        time.sleep(0.1)
    time.sleep(600)


def remembers(noisy):
    Path("remembers.pid").write_text(str(os.getpid()))
    raise MemoryError("allocation of 9 EiB failed")


def writes(noisy):
    noisy.mul_(0.5)
    return noisy.clone()


def mess(noisy):
    import cv2, numpy, scipy.linalg, tempfile, threadpoolctl, torch
    found = (torch.get_default_dtype(), torch.get_num_threads(), os.getcwd() == HERE)
    assert found == (torch.float32, 1, True), found
    pools = threadpoolctl.threadpool_info()
    assert {"openmp", "blas"} <= {each["user_api"] for each in pools}
    assert {each["num_threads"] for each in pools} == {1}, pools
    with open(os.path.join(HERE, "opencv.log"), "a") as log:
        print(cv2.getNumThreads(), file=log)
    draws = (random.random(), numpy.random.rand(), float(torch.rand(1)))
    with open(os.path.join(HERE, "mess.log"), "a") as log:
        print(os.getpid(), *draws, file=log)
    random.seed(1), numpy.random.seed(1), torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(2)
    threadpoolctl.threadpool_limits(2)
    cv2.setNumThreads(2)
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)
    return noisy.clone()


HERE = os.getcwd()
ALL = [raises, quits, hangs, segfaults, exits, leaves, eats, remembers, writes]


def spec(function, good=lambda noisy: noisy.clone()):
    name = function.__name__
    def build(options, device, weights):
        def denoise(noisy, noise):
            Path(f"{name}.last").write_text(str(os.getpid()))
            return (function if function is mess or first(name) else good)(noisy)
        return denoise
    return mdnbench.DenoiserSpec(name, "1", name, build)


def absent():
    def build(options, device, weights):
        raise mdnbench.Unavailable("its licence server is closed; open it.")
    return mdnbench.DenoiserSpec("absent", "1", "absent", build)


@mdnbench.hookimpl
def mdnbench_denoisers():
    return [*map(spec, ALL), spec(mess), absent()]
'''
METHODS = (
    "raises", "quits", "hangs", "segfaults", "exits", "leaves", "eats", "remembers", "writes", "mess", "absent",
    "noisy",
)  # fmt: skip
TIMEOUT_S, MEMORY_GIB = 10.0, 1.0


@dataclass
class Survived:
    """A run that met every fault, and the folder that it worked in."""

    results: Results
    tally: Tally
    rows: dict[str, list[CellRow]]
    folder: Path
    seconds: float

    def bad(self, method: str) -> CellRow:
        """The one cell of a method that went wrong; its other cell is ok."""
        bad, good = sorted(self.rows[method], key=lambda row: row.status == "ok")
        assert good.status == "ok", good.reason
        return bad


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Survived:
    """One run of all the methods above on two images, one worker."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "faulty.py").write_text(PLUGIN, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        start = time.monotonic()
        results = api.run(
            methods=METHODS, sigma=50, dataset="sk12", images=["01", "02"], metrics=["psnr"], timing=False, jobs=1,
            timeout=TIMEOUT_S, memory=MEMORY_GIB, plugins=["faulty.py"],
        )  # fmt: skip
        seconds = time.monotonic() - start
    assert results.tally is not None
    rows: dict[str, list[CellRow]] = {}
    for row in results.rows():
        rows.setdefault(row.method, []).append(row)
    return Survived(results, results.tally, rows, folder, seconds)


def gone(path: Path) -> bool:
    """Whether the process whose number stands in a file has ended."""
    number = int(path.read_text())
    return not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE


def test_the_run_goes_on(survived: Survived) -> None:
    """Every cell ends with a status and a reason, the good ones are ok, and the exit code tells."""
    assert sorted(survived.rows) == sorted(METHODS)
    assert survived.results.counts == {
        "ok": 13, "failed": 2, "timeout": 1, "crashed": 3, "oom": 2, "invalid": 1, "skipped": 2,
    }  # fmt: skip
    assert all(row.reason for rows in survived.rows.values() for row in rows if row.status != "ok")
    assert [row.status for row in survived.rows["noisy"]] == ["ok", "ok"]
    assert survived.results.exit_code == 4
    assert (survived.tally.computed, survived.tally.failed, survived.tally.skipped) == (13, 9, 2)


def test_fault_05_a_plugin_raises(survived: Survived) -> None:
    """The cell is `failed`, with the error in its reason and the traceback in the record."""
    row = survived.bad("raises")
    assert row.status == "failed"
    assert row.reason == "RuntimeError: no luck\nat all"
    assert "in raises" in row.traceback
    quits = survived.bad("quits")
    assert (quits.status, quits.reason) == ("failed", "SystemExit: enough of this")


ODD = """
    import os

    def fails(*given):
        raise ValueError("cannot read " + os.fsdecode(b"/data/caf\\xe9.npy"))

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("odd", "1", "odd", lambda options, device, weights: fails)]

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec("odd-score", "1", "odd", "higher", lambda device: fails, by_name=True)]
"""


def test_fault_05_a_plugin_raises_what_is_not_utf_8(
    plugin: Callable[..., Path], cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """A reason with a file name that is not UTF-8 costs its own cell or score, like any other, and not the run."""
    done = cli(
        "run", "--methods", "odd,noisy", "--metrics", "psnr,odd-score", "--sigma", 50, "--dataset", "sk12", "--images",
        "01", "--no-timing", "--jobs", 1, "--plugin", plugin(ODD), "--out", "odd",
        "--json",
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    odd, noisy = api.open_run("odd").rows()
    said = r"ValueError: cannot read /data/caf\udce9.npy"
    assert (odd.status, odd.reason) == ("failed", said)
    assert said in odd.traceback
    assert (noisy.status, noisy.scores["odd-score"].reason) == ("ok", said)


def test_fault_07_a_plugin_hangs(survived: Survived) -> None:
    """The cell is `timeout` after --timeout, though the plugin ignores SIGTERM; whatever it started is gone with it."""
    row = survived.bad("hangs")
    assert row.status == "timeout"
    assert "no answer within 10 s (--timeout)" in row.reason
    for name in ("hangs.child", "hangs.grandchild", "apart.child"):
        assert gone(survived.folder / name)
    assert survived.seconds < 120


def test_fault_08_a_plugin_segfaults(survived: Survived) -> None:
    """The cell is `crashed` with the signal's name, and the child that it left behind is gone."""
    row = survived.bad("segfaults")
    assert row.status == "crashed"
    assert "SIGSEGV" in row.reason
    assert gone(survived.folder / "segfaults.child")


def test_fault_08_a_plugin_exits(survived: Survived) -> None:
    """The cell is `crashed` with the exit code."""
    row = survived.bad("exits")
    assert row.status == "crashed"
    assert "exit code 7" in row.reason


def test_fault_08_a_plugin_exits_as_if_all_were_well(survived: Survived) -> None:
    """Exit code 0 in the midst of a cell is a crash like any other."""
    row = survived.bad("leaves")
    assert (row.status, row.reason) == ("crashed", "the worker process ended with exit code 0.")


def test_fault_09_a_plugin_eats_memory(survived: Survived) -> None:
    """The cell is `oom` at --memory; a MemoryError of its own is `oom` too, and the next cell has a fresh process."""
    row = survived.bad("eats")
    assert row.status == "oom"
    assert "over --memory" in row.reason
    assert MEMORY_GIB * 2**30 < survived.tally.peak_worker_bytes < 2 * MEMORY_GIB * 2**30
    own = survived.bad("remembers")
    assert (own.status, own.reason) == ("oom", "out of memory: allocation of 9 EiB failed")
    assert (survived.folder / "remembers.last").read_text() != (survived.folder / "remembers.pid").read_text()


GPU = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    import os
    def build(options, device, weights):
        def denoise(noisy, noise):
            import torch
            from pathlib import Path
            Path(f"{noisy.shape[-1]}.pid").write_text(str(os.getpid()))
            if noisy.shape[-1] == 512:
                torch.empty(2**46, device="cuda")
            return noisy.clone()
        return denoise
    return [mdnbench.DenoiserSpec("greedy", "1", "greedy", build)]
"""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_fault_10_cuda_out_of_memory(workspace: Path, plugin: Callable[..., Path]) -> None:
    """The cell is `oom`, and the next one starts in a clean process."""
    results = api.run(
        methods=["greedy"], sigma=50, dataset="sk12", images=["01", "08"], metrics=["psnr"], timing=False, jobs=1,
        device="cuda", plugins=[plugin(GPU)],
    )  # fmt: skip
    assert results.counts == {"ok": 1, "oom": 1}
    first, second = (path.read_text() for path in sorted(workspace.glob("*.pid")))
    assert first != second


def test_fault_14_a_plugin_writes_into_its_input(survived: Survived) -> None:
    """The cell is `invalid`, and the noisy image of the next method is untouched."""
    row = survived.bad("writes")
    assert row.status == "invalid"
    assert "wrote into its input" in row.reason
    digests = {row.noisy_digest for row in survived.rows["noisy"]}
    assert {row.output_digest for row in survived.rows["noisy"]} == digests


def test_fault_15_a_plugin_leaves_a_mess(survived: Survived) -> None:
    """Seeds, default type, threads and a removed working directory: the next cell in the same process is untouched.

    The plugin looks itself at what it finds: torch, OpenMP and BLAS have one thread each, by threadpoolctl's word.
    """
    assert [row.status for row in survived.rows["mess"]] == ["ok", "ok"]
    (first, *draws), (second, *others) = (
        line.split() for line in (survived.folder / "mess.log").read_text().splitlines()
    )
    assert first == second
    assert draws != others  # each case has seeds of its own
    assert (survived.folder / "opencv.log").read_text().split()[1:] == ["1"]  # from the second cell after its import


def test_a_method_that_cannot_work_is_skipped(survived: Survived) -> None:
    """`Unavailable` skips the method's cells with its reason, and does not count as a failure."""
    assert {(row.status, row.reason) for row in survived.rows["absent"]} == {
        ("skipped", "its licence server is closed; open it.")
    }


def test_no_process_is_left(survived: Survived) -> None:
    """After the run, none of the workers or their children is alive."""
    assert not [each for each in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(each.cmdline())]


def test_a_table_says_what_is_missing_and_why(survived: Survived) -> None:
    """Each method that lost a cell has its note with status and reason, in one line."""
    (table,) = survived.results.tables
    notes = "\n".join(table.notes)
    assert "quits: 1 of 2 cells are missing (1 failed: SystemExit: enough of this)." in notes
    assert "raises: 1 of 2 cells are missing (1 failed: RuntimeError: no luck at all)." in notes
    assert "absent: 2 of 2 cells are missing (2 skipped: its licence server is closed; open it)." in notes
    assert len(table.notes) == 10

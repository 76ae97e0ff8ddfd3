"""What a method needs once on a machine is done before its cells, and counts in none of their time limits."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mdnbench import api
from mdnbench.data.images import write_png
from mdnbench.util.listener import Listener

SLOW = """
    import pathlib, time
    MARK = pathlib.Path(PLACE)

    def prepare(options, now):
        if MARK.exists():
            return None
        if now:
            time.sleep(2.5)
            DOING
            MARK.touch()
        return "getting slow ready"

    def build(options, device, weights):
        return lambda noisy, noise: noisy.clone()

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("slow", "1", "is prepared slowly", build, prepare=prepare)]
"""
LIMIT_S = 2.0


class Phases(Listener):
    """Keep the names of all phases."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []

    def begin(self, phase: str, total: int) -> None:
        """Keep a phase that begins."""
        self.begun.append(phase)

    def end(self, phase: str) -> None:
        """Keep a phase that has ended."""
        self.ended.append(phase)


def asked(path: Path, folder: Path, **others: object) -> dict[str, object]:
    """Return the request of a run over one small image, with a time limit shorter than the preparation."""
    folder.mkdir(exist_ok=True)
    write_png(folder / "a.png", np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16))
    return {
        "methods": ["slow"], "sigma": 25, "dataset": str(folder), "metrics": ["psnr"], "timing": False, "jobs": 1,
        "timeout": LIMIT_S, "plugins": [path], "seeds": 2, **others,
    }  # fmt: skip


def test_it_is_done_once_and_shown(plugin: Callable[..., Path], workspace: Path) -> None:
    """The first run prepares the method as a phase of its own; a further one finds it done."""
    path = plugin(SLOW.replace("PLACE", repr(str(workspace / "mark"))).replace("DOING", "pass"))
    first, second = Phases(), Phases()
    assert api.run(**asked(path, workspace / "images"), listener=first).counts == {"ok": 2}
    assert "getting slow ready" in first.begun
    assert "getting slow ready" in first.ended
    again = api.run(**asked(path, workspace / "images", fresh=True), listener=second)
    assert again.counts == {"ok": 2}
    assert "getting slow ready" not in second.begun


def test_a_run_that_finds_all_cells_in_the_store_prepares_nothing(plugin: Callable[..., Path], workspace: Path) -> None:
    """What the method needs may be gone from the machine: nothing computes, so nothing is prepared."""
    path = plugin(SLOW.replace("PLACE", repr(str(workspace / "mark"))).replace("DOING", "pass").replace("2.5", "0"))
    assert api.run(**asked(path, workspace / "images")).counts == {"ok": 2}
    (workspace / "mark").unlink()
    again = Phases()
    assert api.run(**asked(path, workspace / "images"), listener=again).tally.cached == 2
    assert "getting slow ready" not in again.begun
    assert not (workspace / "mark").exists()


def test_a_worker_on_another_machine_does_it_too(
    plugin: Callable[..., Path], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the command could not do it, the method's own process does, before the time of its first cell begins."""
    mark = workspace / "mark"
    path = plugin(SLOW.replace("PLACE", repr(str(mark))).replace("DOING", "pass"))
    monkeypatch.setattr("mdnbench.engine.preparation.prepare", lambda *given, **named: None)
    assert not mark.exists()
    found = api.run(**asked(path, workspace / "images"))
    assert mark.exists()
    assert found.counts == {"ok": 2}


def test_its_error_is_the_reason_of_the_cells(plugin: Callable[..., Path], workspace: Path) -> None:
    """A preparation that fails ends no run: the cells of the method have its reason."""
    text = SLOW.replace("PLACE", repr(str(workspace / "mark"))).replace("DOING", "raise OSError('no compiler')")
    found = api.run(**asked(plugin(text.replace("2.5", "0")), workspace / "images", methods=["slow", "noisy"]))
    assert found.counts == {"ok": 2, "failed": 2}
    assert all("no compiler" in record["reason"] for record in found.records() if record["method"] == "slow")


def test_what_hangs_costs_its_limit_once(
    plugin: Callable[..., Path], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preparation that hangs is ended after its own time limit, and not tried again for each cell."""
    tries = workspace / "tries"
    doing = f"open({str(tries)!r}, 'a').write('x'); time.sleep(1000)"
    path = plugin(SLOW.replace("PLACE", repr(str(workspace / "mark"))).replace("DOING", doing).replace("2.5", "0"))
    monkeypatch.setattr("mdnbench.engine.preparation.prepare", lambda *given, **named: None)
    monkeypatch.setattr("mdnbench.engine.coordinator.PREPARE_S", 3.0)
    found = api.run(**asked(path, workspace / "images", seeds=5))
    assert {row.status for row in found.rows()} == {"timeout"}
    assert all("not prepared within 3 s" in record["reason"] for record in found.records())
    assert tries.read_text() == "x"


@pytest.mark.full
def test_bm3d_is_compiled_outside_the_time_limit_of_its_cells(
    cli: Callable[..., subprocess.CompletedProcess[str]], workspace: Path
) -> None:
    """On a machine where nothing is compiled, a cell with a short limit is ok; its seconds are those of BM3D alone."""
    options = ("--methods", "bm3d", "--sigma", "25", "--dataset", "sk12", "--images", "01", "--metrics", "psnr")
    limits = ("--timeout", "5", "--no-timing", "--out")
    own = {"NUMBA_CACHE_DIR": str(workspace / "numba")}
    first = cli("run", *options, *limits, "first", timeout=300, **own)
    assert first.returncode == 0, first.stderr
    assert "BM3D is compiled" in first.stderr
    second = cli("run", *options, *limits, "second", "--fresh", timeout=300, **own)
    assert second.returncode == 0, second.stderr
    assert "BM3D is compiled" not in second.stderr

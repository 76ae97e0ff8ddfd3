"""Faults of timings: a budget that is used up, a busy machine, processes that fail. None is stored as finished."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mdnbench import api
from mdnbench.planning import environment
from mdnbench.spec.timings import LATE, NO_TIME, TimingRecord
from mdnbench.timing.cpu_wait import DISTURBED
from mdnbench.timing.process import BUSY, ONLY_FIRST
from mdnbench.util import jsonfile
from mdnbench.util.listener import Listener

PLUGIN = '''
import mdnbench, os, time
from pathlib import Path


def counted(name):
    with open(f"calls-{name}", "a") as file:
        file.write("x")


def quick(options, device, weights):
    def denoise(noisy, noise):
        counted("quick")
        return noisy.clone()
    return denoise


def odd(options, device, weights):
    """Goes wrong, in the way that a file says, on images 256 or 96 wide; without the file it is quick."""
    def denoise(noisy, noise):
        counted("odd")
        how = os.path.exists("odd.txt") and noisy.shape[-1] in (96, 256) and Path("odd.txt").read_text()
        if how == "hangs":
            time.sleep(600)
        if how == "dies":
            os._exit(3)
        if how == "raises":
            raise OSError("gone")
        if how == "starves" and not os.path.exists("started"):
            Path("started").touch()
            time.sleep(29)
        return noisy.clone()
    return denoise


def computes(options, device, weights):
    """Computes for a few tens of milliseconds."""
    def denoise(noisy, noise):
        sum(range(2_000_000))
        return noisy.clone()
    return denoise


@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec(each.__name__, "1", "", each) for each in (quick, odd, computes)]
'''
FIRST_S = 29.0  # under 30 s, and no second one fits into the budget
HOG = "while True: pass"


class Notes(Listener):
    """Keeps what is told on the way."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep it."""
        self.notes.append(text)


@pytest.fixture
def starved(lab: Any) -> Any:
    """A lab with the plugin."""
    lab.write("own.py", PLUGIN, plugin=True)
    return lab


def timed(lab: Any, methods: str, **keys: Any) -> tuple[Any, list[str]]:
    """A run with its timing phase, and what was told on the way."""
    heard = Notes()
    found = api.run(
        methods=methods.split(), noise="gaussian:25", dataset=str(lab.folder / "pics"), metrics="psnr", jobs=1,
        plugins=lab.plugins, listener=heard, **keys,
    )  # fmt: skip
    assert found.exit_code == 0
    return found, heard.notes


def of(record: TimingRecord, method: str, side: int = 256) -> Any:
    """What a record has of a method, None if nothing."""
    found = [each for each in record.benchmarks if (each.name, each.extra_info.side) == (method, side)]
    return found[0] if found else None


def calls(lab: Any, method: str) -> int:
    """How often a method was called so far."""
    return len((lab.folder / f"calls-{method}").read_text())


@pytest.mark.parametrize(("how", "why"), [
    pytest.param("hangs", NO_TIME, marks=pytest.mark.full), ("dies", "its process died"),
    pytest.param("raises", "OSError: gone", marks=pytest.mark.full),
])  # fmt: skip
def test_fault_57_the_next_run_measures_only_what_is_missing(starved: Any, how: str, why: str) -> None:
    """A method that was not timed is named in table and file; the next run times it, and calls no other."""
    lab = starved
    lab.write("odd.txt", how)
    first, _ = timed(lab, "quick odd")
    record = jsonfile.read(first.folder / "timing.json", "record", TimingRecord)
    assert record.problems == {"odd": why}  # it took effect
    assert of(record, "odd") is None
    assert of(record, "quick").stats.rounds == 30
    table = (first.folder / "table.md").read_text(encoding="utf-8")
    assert f"odd was not timed: {why}" in table
    assert "the next run measures" in table

    (lab.folder / "odd.txt").unlink()
    before = calls(lab, "quick"), calls(lab, "odd")
    second, notes = timed(lab, "quick odd")
    assert "timing only what the stored record lacks: odd." in notes
    assert second.timing.problems == {}
    assert of(second.timing, "quick") == of(record, "quick")
    assert of(second.timing, "odd").stats.rounds == 30
    assert calls(lab, "quick") == before[0]
    assert calls(lab, "odd") >= before[1] + 30
    assert "timed at different times" in (second.folder / "table.md").read_text(encoding="utf-8")

    third, notes = timed(lab, "quick odd")
    assert third.timing == second.timing
    assert not [note for note in notes if "timing only" in note]


@pytest.mark.full
def test_fault_57_a_first_call_alone_is_no_finished_timing(starved: Any) -> None:
    """It is shown and said to be no more; the next run replaces it, and leaves the others as they were."""
    lab = starved
    lab.write("odd.txt", "starves")
    first, _ = timed(lab, "odd quick")
    each = of(first.timing, "odd")
    assert each.stats.data[0] >= FIRST_S  # it took effect: what is left is not enough for another one
    assert each.stats.rounds == 1
    assert each.extra_info.unfinished == ONLY_FIRST
    assert f"not finished, {ONLY_FIRST}: odd." in (first.folder / "table.md").read_text(encoding="utf-8")
    second, notes = timed(lab, "odd quick")
    assert "timing only what the stored record lacks: odd." in notes
    assert of(second.timing, "odd").stats.rounds == 30
    assert of(second.timing, "quick") == of(first.timing, "quick")


@pytest.fixture
def hogs() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Three processes for each core that do nothing but compute; they end with the test.

    Each is a session of its own: Linux gives a session its share of the cores, however many processes it has.
    """
    command = [sys.executable, "-c", HOG]
    found = [subprocess.Popen(command, start_new_session=True) for _ in range(3 * environment.cores())]
    time.sleep(1)
    assert all(each.poll() is None for each in found)
    yield found
    for each in found:
        each.kill()
        each.wait()


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone counts how long a process waits for a processor")
def test_fault_57_a_busy_machine_gives_no_finished_timing(starved: Any, hogs: list[subprocess.Popen[bytes]]) -> None:
    """A method that waited for a processor in most of its calls is said to; it is timed again when others are gone."""
    lab = starved
    first, _ = timed(lab, "computes")
    each = of(first.timing, "computes")
    assert each.extra_info.waited > DISTURBED  # it took effect
    assert each.stats.rounds > 1
    assert each.extra_info.unfinished == BUSY
    assert f"not finished, {BUSY}: computes." in (first.folder / "table.md").read_text(encoding="utf-8")
    for hog in hogs:
        hog.kill()
        hog.wait()
    second, _ = timed(lab, "computes")
    again = of(second.timing, "computes")
    assert again.extra_info.timed_at > each.extra_info.timed_at
    # Other people may be at work on this machine: what is called finished must not have waited.
    assert again.extra_info.unfinished or again.extra_info.waited <= DISTURBED


def test_fault_57_nothing_is_timed_and_nothing_stored(starved: Any, cli: Callable[..., Any]) -> None:
    """`time` with a budget of next to nothing names each method and ends with 5; with more, all are measured."""
    lab = starved
    command = [
        "time", "--methods", "quick,noisy", "--noise", "gaussian:25", "--dataset", lab.folder / "pics", "--sizes", 64,
        "--threads", 1, f"--plugin={lab.plugins[0]}",
    ]  # fmt: skip
    short = cli(*command, "--time-budget", 0.2)
    assert short.returncode == 5, short.stderr
    for method in ("quick", "noisy"):
        assert any(f"{method} was not timed: {why}" in short.stdout for why in (NO_TIME, LATE))
    (path,) = (lab.folder / ".mdnbench" / "timings").rglob("timing.json")
    assert jsonfile.read(path, "record", TimingRecord).benchmarks == ()
    whole = cli(*command, "--time-budget", 120, "--json")
    found = jsonfile.parse(whole.stdout, TimingRecord)
    assert (whole.returncode, found.problems) == (0, {})
    assert "timing only" not in whole.stderr
    assert {each.name for each in found.benchmarks} == {"quick", "noisy"}


@pytest.mark.full
def test_fault_57_a_method_that_hangs_at_a_larger_size_starves_no_other(starved: Any) -> None:
    """The other method is finished at both sizes and kept; the next `time` measures the one that hung, at both."""
    lab = starved
    keys: dict[str, Any] = {
        "methods": ["quick", "odd"], "noise": "gaussian:25", "dataset": str(lab.folder / "pics"), "metrics": "psnr",
        "plugins": lab.plugins, "sizes": [64, 96], "threads": [1],
    }  # fmt: skip
    lab.write("odd.txt", "hangs")
    first = api.time(**keys, budget_s=60.0)
    assert first.record.problems == {"odd (96×96, 1 thread)": NO_TIME}
    assert of(first.record, "odd", 64).extra_info.unfinished == ONLY_FIRST
    assert [of(first.record, "quick", side).stats.rounds for side in (64, 96)] == [30, 30]
    assert first.exit_code == 0
    (lab.folder / "odd.txt").unlink()
    second = api.time(**keys, budget_s=300.0)
    assert second.record.problems == {}
    for side in (64, 96):
        assert of(second.record, "quick", side).stats == of(first.record, "quick", side).stats
        assert of(second.record, "odd", side).stats.rounds == 30
    for method in ("quick", "odd"):
        assert of(second.record, method, 64).extra_info.self_tests.again is not None
    third = api.time(**keys, budget_s=1.0)
    assert third.record.benchmarks == second.record.benchmarks

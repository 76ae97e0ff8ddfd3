"""The timing phase: what is measured, that the budget wins, that it is cached, and who can read its record."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from made_records import benchmark, stats, timing_record

from mdnbench import api
from mdnbench.engine.coordinator import job_of
from mdnbench.evaluation import cases
from mdnbench.planning import environment
from mdnbench.planning.identity import CodeIdentity
from mdnbench.results import Results
from mdnbench.spec.timings import LATE, NO_TIME, Benchmark, TimingRecord
from mdnbench.store import open_store
from mdnbench.timing import phase, quality, selftests, session, summary
from mdnbench.timing.conditions import AFTER_RUN, Conditions
from mdnbench.timing.deadline import Deadline
from mdnbench.timing.process import LoadTimes, MethodTiming, TimingProcess, TimingSubject, launch
from mdnbench.util import jsonfile
from mdnbench.util.listener import Listener

PLUGIN = '''
import subprocess, time
from pathlib import Path
import mdnbench


def naps(options, device, weights):
    """Takes 0.3 s to build, 0.4 s and 64 MiB at its first call, and 20 ms after that."""
    time.sleep(0.3)
    held = []
    def denoise(noisy, noise):
        if not held:
            held.append(bytearray(b"x") * 2**26)
            time.sleep(0.38)
        time.sleep(0.02)
        return noisy.clone()
    return denoise


def sleeps(options, device, weights):
    def denoise(noisy, noise):
        time.sleep(0.4)
        return noisy.clone()
    return denoise


def hangs(options, device, weights):
    def denoise(noisy, noise):
        Path("hangs.child").write_text(str(subprocess.Popen(["sleep", "600"]).pid))
        time.sleep(600)
    return denoise


def raises(options, device, weights):
    raise OSError("gone")


@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec(each.__name__, "1", "timed", each) for each in (naps, sleeps, hangs, raises)]
'''
KEYS: dict[str, Any] = {
    "methods": ["naps", "noisy", "raises"], "sigma": 50, "dataset": "sk12", "images": ["01"], "metrics": ["psnr"],
    "jobs": 1, "plugins": ["timed.py"],
}  # fmt: skip
GOOD = {**KEYS, "methods": ["naps", "noisy"]}
DNCNN = "dncnn[weights=gaussian]"


@dataclass
class TimedRun:
    """A run with its timing record, and the folder that it worked in."""

    results: Results
    record: TimingRecord
    folder: Path

    def of(self, method: str) -> Benchmark:
        """What was measured of a method."""
        (found,) = [each for each in self.record.benchmarks if each.name == method]
        return found


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> TimedRun:
    """One run with its timing phase: two good methods and one that raises."""
    folder = tmp_path_factory.mktemp("timing")
    (folder / "timed.py").write_text(PLUGIN, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        results = api.run(**KEYS)
    record = results.timing
    assert record is not None
    return TimedRun(results, record, folder)


def test_load_first_call_and_steady_state_are_apart(timed: TimedRun) -> None:
    """What a method needs once is not in its median; rounds, quartiles and throughput follow from the calls."""
    found = timed.of("naps")
    stats, extra = found.stats, found.extra_info
    assert extra.load_s >= 0.3
    assert extra.first_call_s >= 0.4
    assert 0.02 <= stats.min <= stats.median < 0.3
    assert stats.rounds == len(stats.data) == AFTER_RUN.rounds
    assert stats.iqr >= 0
    assert extra.megapixels_per_s == pytest.approx(256 * 256 / 1e6 / stats.median)
    assert timed.of("noisy").stats.median < stats.median


def test_memory_is_what_the_method_added(timed: TimedRun) -> None:
    """64 MiB held by the method are in its peak, and torch is not."""
    assert 64 <= timed.of("naps").extra_info.peak_memory_bytes / 2**20 < 150
    assert timed.of("noisy").extra_info.peak_memory_bytes / 2**20 < 64
    assert timed.of("naps").extra_info.parameters is None


def test_a_method_without_a_good_cell_is_not_timed(timed: TimedRun) -> None:
    """What failed in every cell has no seconds, and no process is started for it."""
    assert {each.name for each in timed.record.benchmarks} == {"naps", "noisy"}
    assert timed.record.problems == {}


def test_the_record_says_where_it_was_made(timed: TimedRun) -> None:
    """Machine, size, threads, device and noise stand in the record."""
    machine = timed.record.machine_info
    assert machine.node == environment.machine_id()
    assert machine.cpu.count == environment.cores()
    assert {each.group for each in timed.record.benchmarks} == {"256×256, 1 thread, cpu, gaussian:sigma=50"}


def test_pytest_benchmark_compares_the_record(timed: TimedRun) -> None:
    """The real `pytest-benchmark compare` reads the file and shows both methods."""
    path = timed.results.folder / "timing.json"
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "naps" in done.stdout
    assert "noisy" in done.stdout
    assert "256×256, 1 thread, cpu, gaussian:sigma=50" in done.stdout


def test_a_machine_times_the_same_methods_once(timed: TimedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run has the very record of the first; another set of methods would be timed anew."""
    monkeypatch.chdir(timed.folder)
    again = api.run(**GOOD)
    assert again.timing == timed.record
    plan = api.plan(**GOOD)
    assert session.record_for(plan, again, Listener()) == timed.record
    code = CodeIdentity(plan, again.store)
    keys = {session._key(plan, list(plan.works[:number]), code) for number in (1, 2)}
    assert len(keys - {""}) == 2


def test_colour_is_timed_by_itself(timed: TimedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three channels take longer than one: a colour image has a key of its own, another gray image has not."""
    monkeypatch.chdir(timed.folder)
    plans = [api.plan(**GOOD | {"images": [image]}) for image in ("01", "02")]
    first, second = (session._key(plan, list(plan.works), CodeIdentity(plan, timed.results.store)) for plan in plans)
    assert first
    assert first == second
    (image,) = plans[0].images
    colour = type(image)(image.id, image.digest, (*image.shape, 3))
    object.__setattr__(plans[0], "images", (colour,))
    code = CodeIdentity(plans[0], timed.results.store)
    assert session._key(plans[0], list(plans[0].works), code) not in ("", first)


@pytest.mark.full
def test_one_method_under_two_names_has_two_records(workspace: Path) -> None:
    """A record names its methods as they were asked for, also where weights that are taken anyway were said."""
    store, record = open_store(workspace / "results.sqlite"), {}
    plans = {name: api.plan(**KEYS | {"methods": [name], "plugins": []}) for name in ("dncnn", DNCNN)}
    for name, plan in plans.items():
        under = Conditions((16,), rounds=1, budget_s=60.0)
        record[name] = session.record(plan, list(plan.works), under, store, Listener())
    assert len({plan.works[0].identity for plan in plans.values()}) == 1
    assert {name: [each.name for each in found.benchmarks] for name, found in record.items()} == {
        "dncnn": ["dncnn"], DNCNN: [DNCNN]
    }  # fmt: skip


def test_without_timing_there_is_no_record(timed: TimedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--no-timing` leaves no record of an earlier run of the name behind."""
    monkeypatch.chdir(timed.folder)
    assert api.run(**GOOD, out="quiet").timing == timed.record
    assert api.run(**GOOD, out="quiet", timing=False).timing is None


class Edits(Listener):
    """Adds a line of code to a plugin's file once the cells are computed, before any is timed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, phase: str, total: float) -> None:
        """Add it."""
        if phase == "timing":
            self._path.write_text(self._path.read_text(encoding="utf-8") + "EDITED = 1\n", encoding="utf-8")


@pytest.mark.full
def test_a_plugin_that_was_edited_after_the_plan_is_not_timed(workspace: Path) -> None:
    """The record says why under the method's name, has no seconds of the new text, and is not kept for the old one."""
    path = workspace / "timed.py"
    path.write_text(PLUGIN, encoding="utf-8")
    results = api.run(**KEYS | {"methods": ["noisy", "naps"]}, listener=Edits(path))
    assert results.counts == {"ok": 2}
    record = results.timing
    assert record is not None
    assert f"the plugin {path}" in record.problems["naps"]
    assert "has changed since the run was planned" in record.problems["naps"]
    assert [each.name for each in record.benchmarks] == ["noisy"]
    assert api.run(**KEYS | {"methods": ["noisy", "naps"]}).timing.problems == {}


def subject_of(*methods: str) -> TimingSubject:
    """Methods on a noisy square of 256 pixels."""
    plan = api.plan(**KEYS | {"methods": list(methods)})
    noise = plan.noises[0]
    clean = session.square(plan.dataset.load("01"), 256)
    case = cases.make(clean, "00" * 32, noise.named, noise.spec, plan.protocol.input, "known")
    jobs = tuple(job_of(plan, work) for work in plan.works)
    return TimingSubject(jobs, "cpu", {256: (case.noisy, case.info)})


@pytest.mark.full
def test_the_budget_wins(timed: TimedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow and hanging methods do not make it longer; what could not be timed says so, and its child is gone."""
    monkeypatch.chdir(timed.folder)
    subject, budget = subject_of("sleeps", "hangs"), 9.0
    start = time.monotonic()
    sleeps, hangs = phase.measure(subject, Conditions(budget_s=budget))
    assert time.monotonic() - start < budget + 3
    assert len(sleeps.seconds) <= (budget - 2) / 0.4
    assert bool(sleeps.seconds) != bool(sleeps.problem)
    assert hangs.seconds == []
    assert hangs.problem in (NO_TIME, LATE)
    child = Path("hangs.child")
    if child.exists():
        number = int(child.read_text())
        assert not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE


def test_no_self_tests_where_no_time_is_left(timed: TimedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that the budget was too short, and no process is begun to find that out."""
    monkeypatch.chdir(timed.folder)
    now = time.monotonic()
    found = selftests.run(subject_of("sleeps", "naps"), (0, 1), 1, Deadline(now, now))
    assert {job: each.tests.output for job, each in found.items()} == dict.fromkeys((0, 1), f"not compared: {NO_TIME}")
    assert not any(each.tests.complete for each in found.values())


def test_only_a_process_that_was_waited_for_is_late(timed: TimedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the budget is over before it could begin, that is what is said."""
    monkeypatch.chdir(timed.folder)
    subject = subject_of("naps")
    for within_s, said in ((0.0, NO_TIME), (-1.0, NO_TIME), (0.001, LATE)):
        each = launch(subject, 0, 1)
        each.started(within_s)
        each.end()
        assert each.problem == said


def test_a_very_slow_method_has_one_round() -> None:
    """Where a call takes over 30 s, the first is the only one."""
    slow = MethodTiming("m", LoadTimes(0.0, 31.0, 0, None))
    process = TimingProcess("m", 1, None, [slow])  # type: ignore[arg-type]
    now = time.monotonic()
    clock = Deadline(now, now + 600)
    phase._warm_up(process, slow, clock)
    phase.rounds([process], random.Random(0), 30, clock)
    assert slow.seconds == [31.0]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((256, 256), (256, 256)), ((512, 300, 3), (256, 256, 3)), ((40, 90), (256, 256))],
)
def test_every_image_is_timed_at_one_size(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """The top left square of a larger image; a smaller one is reflected, without a flat part."""
    import numpy as np

    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    square = session.square(image, 256)
    assert square.shape == expected
    height, width = min(256, shape[0]), min(256, shape[1])
    assert np.array_equal(square[:height, :width], image[:height, :width])
    assert square[-40:, -40:].std() > 0.2


def summed(name: str, median: float, iqr: float, rounds: int, **extra: Any) -> Benchmark:
    """One benchmark of a record."""
    found = stats([], median=median, iqr=iqr, rounds=rounds)
    return benchmark(name, seconds=found, megapixels_per_s=0.065536 / median, **extra)


def test_the_timing_table_is_fastest_first_with_three_figures() -> None:
    """Milliseconds, no IQR for a single round, parameters in millions, multiply-adds per pixel in thousands."""
    record = timing_record(
        summed("b", 3.3, 0.1, 9, multiply_adds_per_pixel=55_400.0), summed("a", 0.0123, 0, 1, parameters=560_000)
    )
    (table,) = summary.tables(record)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["a", "12.3", "–", "1", "5.33", "0.50", "1.25", "3", "0.56 M", "–"],
        ["b", "3300", "100", "9", "0.0199", "0.50", "1.25", "3", "–", "55.4"],
    ]


def test_a_noisy_measurement_and_a_missing_one_have_their_notes() -> None:
    """An IQR over a tenth of the median is told, and so is why a method was not timed, or no longer."""
    record = timing_record(
        summed("calm", 1, 0.05, 9), summed("wild", 1, 0.2, 9), summed("once", 1, 0.9, 1),
        problems={"lost": "its process died", "calm": "OSError: gone"},
    )  # fmt: skip
    notes = summary.notes(record)
    assert notes[0] == "lost was not timed: its process died"
    assert notes[1] == "calm failed after 9 rounds, and its figures are of no more: OSError: gone"
    assert notes[2].endswith("of the median): wild.")


def test_a_run_has_its_quality_against_time(timed: TimedRun) -> None:
    """Points from fast to slow by the timing phase's own medians; no published level is of one image of sk12."""
    found = quality.of_results(timed.results, "gaussian:sigma=50")
    assert found is not None
    assert found.group == "256×256, 1 thread, cpu, gaussian:sigma=50"
    assert [point.method for point in found.points] == ["noisy", "naps"]
    assert found.points[0].ms_per_megapixel == pytest.approx(1000 * timed.of("noisy").stats.median / (256 * 256 / 1e6))
    assert found.points[0].psnr == found.points[1].psnr  # both give the noisy image back
    assert [point.front for point in found.points] == [True, False]
    assert found.published == ()
    assert quality.of_results(timed.results, "gaussian:sigma=25") is None


def test_timing_is_written_for_people_too(timed: TimedRun) -> None:
    """The run's files: the record as JSON, and its table in Markdown."""
    assert jsonfile.read(timed.results.folder / "timing.json", "record", TimingRecord) == timed.record
    assert "## Timing" in (timed.results.folder / "table.md").read_text(encoding="utf-8")

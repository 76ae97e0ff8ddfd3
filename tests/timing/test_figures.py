"""What is asked of a timing and made of its figures: conditions, fits, self-test verdicts, the front, columns."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from made_records import benchmark, run_facts, timing_record

from mdnbench.errors import BadOption
from mdnbench.evaluation import protocols
from mdnbench.planning import environment
from mdnbench.spec.timings import LATE, NO_TIME, KnownQuality, PublishedLevel, SelfTests, TimingRecord
from mdnbench.store import MeanRow
from mdnbench.timing import conditions, quality, scaling, selftests, summary
from mdnbench.timing import record as records
from mdnbench.timing.process import MethodTiming


def test_the_usual_conditions() -> None:
    """What the command times without further words, and with --scaling; `all` is a thread per core."""
    usual, growth = conditions.alone(), conditions.alone(scaling=True)
    assert (usual.sizes, usual.budget_s, usual.self_tests) == ((256, 512, 1024), 600.0, True)
    assert usual.threads == tuple(sorted({1, environment.cores()}))
    assert (growth.sizes, growth.threads) == ((64, 128, 256, 512, 1024, 2048), (1,))
    assert conditions.alone([512, 64, 512], ["all"], 5).sizes == (64, 512)
    assert conditions.alone(threads=["all"]).threads == (environment.cores(),)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"sizes": [8]}, "size 8 is not allowed; it takes sides from 16 to 8192"),
        ({"threads": ["0"]}, "0 threads are not allowed"),
        ({"threads": ["many"]}, "threads 'many' is not a number"),
        ({"budget_s": 0}, "a time budget of 0 s is not allowed"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(keys: dict[str, Any], why: str) -> None:
    """The message says what was given and what is allowed."""
    with pytest.raises(BadOption, match=why):
        conditions.alone(**keys)


def test_a_power_law_is_found() -> None:
    """Exact data give the exponent and no interval; scattered data an interval that holds it; the end is its own."""
    pixels = [4.0**power for power in range(6, 12)]
    exact = scaling.fit(pixels, [3e-6 * each**1.25 for each in pixels])
    assert (exact.exponent, exact.low, exact.high, exact.last) == pytest.approx((1.25,) * 4)
    scatter = [1.1, 0.9, 1.05, 0.97, 1.02, 0.95]
    loose = scaling.fit(pixels, [each * off for each, off in zip(pixels, scatter, strict=True)])
    assert loose.low < 1.0 < loose.high
    assert loose.high - loose.low > 0.01
    fixed = scaling.fit(pixels, [1e-3 + 1e-6 * each for each in pixels])
    assert fixed.exponent < fixed.last < 1.0


@pytest.mark.parametrize(
    ("pairs", "quicker"),
    [
        ([(0.10, 0.001)] * 5, True),
        ([(0.10, 0.10)] * 5, False),
        ([(0.10, 0.08), (0.10, 0.08), (0.10, 0.08), (0.05, 0.08), (0.2, 0.08)], False),  # the best fresh one was best
        ([(0.10, 0.04)] * 3 + [(0.06, 0.07), (0.05, 0.07)], False),  # in three of five alone
        ([(1e-5, 5e-6)] * 5, False),  # too little to be worth remembering
        ([], False),
    ],
)
def test_quicker_needs_more_than_chance(pairs: list[tuple[float, float]], quicker: bool) -> None:
    """The medians, the best calls and nearly all pairs, and a gain that would pay."""
    assert selftests.repeated_speedup(pairs)[1] is quicker


@pytest.mark.parametrize(
    ("output", "again", "complete"),
    [
        ("equal", 1.0, True),
        ("not compared: OSError: gone", 1.0, True),
        (f"not compared: {NO_TIME}", 1.0, False),
        (f"not compared: {LATE}", None, False),
        ("equal", None, False),
    ],
)
def test_tests_that_lacked_time_are_taken_up_again(output: str, again: float | None, complete: bool) -> None:
    """Only time is a reason to come back to them after the rounds."""
    assert SelfTests(output, again=again).complete is complete


def record(**points: tuple[float, float]) -> TimingRecord:
    """A record of methods at one size with their quality: dB and seconds per megapixel."""
    group = "256×256, 1 thread, cpu, gaussian:sigma=50"
    made = [benchmark(name, group, megapixels_per_s=1 / seconds) for name, (_, seconds) in points.items()]
    lines = (PublishedLevel("DnCNN-S", 27.18, "a paper"),)
    known = KnownQuality("sk12", 12, "standard", {name: dB for name, (dB, _) in points.items()}, lines)
    return replace(timing_record(*made), quality=known)


def test_the_front_is_what_nothing_beats() -> None:
    """Better or faster than every other; equals share it; published levels stand among the rows without a time."""
    found = quality.of_record(record(fast=(20, 1), good=(27, 9), worse=(26, 10), twin=(27, 9), slow=(28, 90)))
    assert found is not None
    assert {point.method for point in found.points if point.front} == {"fast", "good", "twin", "slow"}
    table = quality.table(found, "")
    assert table.names == ("slow", "DnCNN-S", "good", "twin", "worse", "fast")
    assert [cell.text for cell in table.rows[1]] == ["DnCNN-S", "27.18", "–", "published"]


def test_a_method_that_broke_on_the_way_proves_nothing() -> None:
    """Its figures, of fewer calls than were due, stand in the record and take no part in front or growth."""
    found = record(good=(27, 9), broken=(29, 1))
    sound, broken = found.benchmarks
    broken = replace(broken, extra_info=replace(broken.extra_info, problem="RuntimeError: worn out"))
    front = quality.of_record(replace(found, benchmarks=(sound, broken)))
    assert front is not None
    assert [point.method for point in front.points] == ["good"]
    sizes = [
        benchmark(name, seconds=[side**2 * 1e-6], side=side, peak_memory_bytes=side**2, problem=problem)
        for name, problem in (("good", None), ("broken", "worn out"))
        for side in (64, 128, 256, 512)
    ]
    assert [each.method for each in scaling.of_record(timing_record(*sizes))] == ["good"]


def test_only_whole_means_are_held_against_time() -> None:
    """A run's method that was perfect, failed or had no score on some images is no point, however fast."""

    def row(method: str, **changes: Any) -> MeanRow:
        fields: dict[str, Any] = {"counts": {"psnr": 2}, "infinite": {}, "seconds": 1.0, "ok": 2, "total": 2}
        return MeanRow("n", method, "known", {"psnr": 30.0}, **fields | {"problems": {}} | changes)

    rows = [row("whole"), row("lucky", infinite={"psnr": 1}), row("partly", unscored={"psnr": (1, "why")}),
            row("failed", ok=1)]  # fmt: skip
    facts = run_facts(dataset="none", protocol_hash="")
    timed = record(**{each.method: (30, 1) for each in rows})
    run: Any = SimpleNamespace(timing=timed, means=rows, run=SimpleNamespace(facts=facts))
    front = quality.of_results(run, "n")
    assert front is not None
    assert [point.method for point in front.points] == ["whole"]


def test_published_levels_are_those_of_the_same_thing() -> None:
    """Means over the whole data set under the same noise, and nothing under another protocol."""
    known = protocols.known()
    lines = {line.method: line.psnr for line in quality.published("set12", "gaussian:sigma=50", known["standard"].hash)}
    assert lines["DnCNN-S"] == 27.178
    assert lines["BM3D"] == 26.72
    assert quality.published("set12", "gaussian:sigma=50", known["float"].hash) == []
    assert quality.published("sk12", "gaussian:sigma=50", known["standard"].hash) == []


def test_a_gpu_has_columns_of_its_own() -> None:
    """Its own clock's milliseconds and its memory stand beside the others, where there is one."""
    (found,) = summary.tables(timing_record(benchmark("a")))
    assert found.columns == summary.COLUMNS
    (found,) = summary.tables(timing_record(benchmark("a", device_s=0.009, peak_device_bytes=2**21)))
    assert [column.title for column in found.columns[-2:]] == ["GPU ms", "GPU MiB"]
    assert [cell.text for cell in found.rows[0][-2:]] == ["9", "2"]


def test_the_group_names_size_and_threads() -> None:
    """One thread is one thread, and two are two threads."""
    assert records.group(MethodTiming("m", side=512, threads=2)) == "512×512, 2 threads"
    assert records.group(MethodTiming("m")) == "256×256, 1 thread"

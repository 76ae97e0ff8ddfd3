"""A timing record as tables and notes, for the terminal, files and reporters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mdnbench.results import numbers
from mdnbench.results.table import Cell, Column, Table, words
from mdnbench.spec.names import counted
from mdnbench.spec.timings import Benchmark, SelfTests, Stats, TimingRecord

COLUMNS = (
    words("Method"), Column("ms"), Column("IQR"), Column("Rounds"), Column("MP/s", figures=True),
    Column("Load s", digits=2), Column("First s", digits=2), Column("MiB"), Column("Weights"),
    Column("kMAC", figures=True),
)  # fmt: skip
FILE_COLUMNS = (Column("File MB", figures=True),)  # if networks have several forms, such as quantised ones
GPU_COLUMNS = (Column("GPU ms"), Column("GPU MiB"))
NOISY = 0.10  # a measurement is noisy if its IQR is a larger share of its median


def heading(record: TimingRecord, group: str = "") -> str:
    """Return a line with the condition and the machine of a record.

    Args:
        record: The record.
        group: The condition; without it, the first one.

    """
    group = group or next(iter(groups(record)), "")
    return f"{group} · {machine(record)} · each method alone in a fresh process"


def machine(record: TimingRecord) -> str:
    """Return a text that describes the machine on which a record was made."""
    cpu = record.machine_info.cpu
    return f"{cpu.brand_raw}, {counted(cpu.count, 'core')}"


def groups(record: TimingRecord) -> list[str]:
    """Return the conditions of a record in their order: size, threads, device and noise as one text."""
    return list(dict.fromkeys(each.group for each in record.benchmarks))


def tables(record: TimingRecord) -> list[Table]:
    """Return a table for each condition, fastest method first, without notes."""
    gpu, forms = _on_gpu(record), _in_forms(record)
    columns = (*COLUMNS, *(FILE_COLUMNS if forms else ()), *(GPU_COLUMNS if gpu else ()))
    return [Table.of(heading(record, group), columns, _rows(record, group, forms, gpu)) for group in groups(record)]


def noted_tables(record: TimingRecord) -> list[Table]:
    """Return the tables, with the notes below the last one; if nothing was timed, a table without rows."""
    found = tables(record) or [Table("Nothing was timed.", COLUMNS, ())]
    return [*found[:-1], replace(found[-1], notes=tuple(notes(record)))]


def notes(record: TimingRecord) -> list[str]:
    """Return notes on what is missing, noisy or not finished, which methods took turns, and the self-tests."""
    several = len(groups(record)) > 1
    noisy = [_name(each, several) for each in record.benchmarks if is_noisy(each.stats)]
    found = _problems(record)
    if noisy:
        found.append(f"the measurement was noisy (IQR over {NOISY:.0%} of the median): {', '.join(noisy)}.")
    return [*found, *_unfinished(record, several), *_turns(record, several), *_tested(record, several)]


def is_noisy(stats: Stats) -> bool:
    """Return whether a measurement scatters so much that its median is not reliable."""
    return bool(stats.rounds > 1 and stats.iqr > NOISY * stats.median)


def failures(record: TimingRecord) -> list[str]:
    """Return a sentence for each failed self-test."""
    several = len(groups(record)) > 1
    found = []
    for each in record.benchmarks:
        tests, name = each.extra_info.self_tests or SelfTests(), _name(each, several)
        if not tests.output_holds:
            found.append(f"{name}: what was timed is not what was scored; the output {tests.output}.")
        if tests.quicker:
            found.append(
                f"{name} takes only {tests.again:.0%} of the time for an image that it has seen: it remembers, and "
                "its figures are worth nothing."
            )
    return found


def _problems(record: TimingRecord) -> list[str]:
    """Return a sentence for each method with a problem: it was not timed, or it failed after some rounds."""
    rounds = {name: each.stats.rounds for each in record.benchmarks for name in (each.name, _name(each, True))}
    return [
        f"{name} failed after {counted(rounds[name], 'round')}, and its figures are of no more: {problem}"
        if name in rounds
        else f"{name} was not timed: {problem}"
        for name, problem in record.problems.items()
    ]


def _unfinished(record: TimingRecord, several: bool) -> list[str]:
    """Return a line for each reason why timings are not finished, and a line that the next run measures them."""
    reasons: dict[str, list[str]] = {}
    for each in record.benchmarks:
        if why := each.extra_info.unfinished:
            reasons.setdefault(why, []).append(_name(each, several))
    found = [f"not finished, {why}: {', '.join(names)}." for why, names in reasons.items()]
    if found or record.problems:
        found.append("the next run measures what is missing or not finished; the other timings stay.")
    return found


def _turns(record: TimingRecord, several: bool) -> list[str]:
    """Return a line that lists which methods took turns with each other, if methods were timed at different times."""
    times: dict[str, list[str]] = {}
    for each in record.benchmarks:
        if when := each.extra_info.timed_at:
            times.setdefault(when, []).append(_name(each, several))
    if len(times) < 2:
        return []
    shown = [f"{', '.join(names)} ({when[:16].replace('T', ' ')} UTC)" for when, names in sorted(times.items())]
    return [f"timed at different times, so that they did not take turns: {'; '.join(shown)}."]


def _tested(record: TimingRecord, several: bool) -> list[str]:
    """Return a line for each failed self-test and one about all self-tests; nothing if there were none."""
    tests = {
        _name(each, several): each.extra_info.self_tests for each in record.benchmarks if each.extra_info.self_tests
    }
    if not tests:
        return []
    silent = [
        f"{name} ({each.output.partition(': ')[2]})"
        for name, each in tests.items()
        if each.output.startswith("not compared")
    ]
    equal = sum(each.output.startswith("equal") for each in tests.values())
    asked = [each for each in tests.values() if each.again is not None]
    calm = sum(not each.quicker for each in asked)
    found = failures(record)
    found.append(
        f"self-tests: the timed output equals the quality run's in {equal} of {len(tests) - len(silent)} that were "
        f"compared; an image seen before is not quicker in {calm} of {len(asked)}."
    )
    return [*found, f"outputs not compared: {'; '.join(silent)}."] if silent else found


def _name(each: Benchmark, several: bool) -> str:
    """Return a method's name, with the condition if there are several."""
    return f"{each.name} ({', '.join(each.group.split(', ')[:2])})" if several else str(each.name)


def _on_gpu(record: TimingRecord) -> bool:
    """Return whether the record has times by a GPU's clock."""
    return any(each.extra_info.device_s is not None for each in record.benchmarks)


def _in_forms(record: TimingRecord) -> bool:
    """Return whether a method with a file has options, such as those for deployment."""
    return any(each.extra_info.file_bytes and "[" in each.name for each in record.benchmarks)


def _rows(record: TimingRecord, group: str, forms: bool, gpu: bool) -> Iterator[list[Cell | str | float | None]]:
    """Yield the rows of the table of one condition."""
    chosen = [each for each in record.benchmarks if each.group == group]
    for each in sorted(chosen, key=lambda each: each.stats.median):
        extra = each.extra_info
        yield [
            *_row(each),
            *([_in_units(extra.file_bytes, 1e6)] if forms else []),
            *([_milliseconds(extra.device_s), _mebibytes(extra.peak_device_bytes)] if gpu else []),
        ]


def _row(each: Benchmark) -> list[Cell | str | float | None]:
    """Return the cells of a method that every table has."""
    stats, extra = each.stats, each.extra_info
    parameters = extra.parameters
    weights = Cell("–") if parameters is None else Cell(f"{parameters / 1e6:.2f} M", parameters)
    return [
        each.name,
        _milliseconds(stats.median),
        _milliseconds(stats.iqr if stats.rounds > 1 else None),
        stats.rounds,
        extra.megapixels_per_s,
        extra.load_s,
        extra.first_call_s,
        _mebibytes(extra.peak_memory_bytes),
        weights,
        _in_units(extra.multiply_adds_per_pixel, 1000),
    ]


def _milliseconds(seconds: float | None) -> Cell:
    """Return the cell of a time, in milliseconds."""
    return Cell(numbers.milliseconds(seconds), _in_units(seconds, 1e-3))


def _mebibytes(size: float | None) -> float | None:
    """Return a number of bytes in MiB."""
    return _in_units(size, 2**20)


def _in_units(value: float | None, unit: float) -> float | None:
    """Return a value divided by a unit; None if there is no value."""
    return None if value is None else value / unit

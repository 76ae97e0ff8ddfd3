"""Check a run for regressions: compare its means with a baseline's, over the cells that both have."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mdnbench.analysis.regression import compatibility, slowdown
from mdnbench.analysis.regression.baselines import SECONDS, Baseline, Facts, facts_with_code, uncollected
from mdnbench.analysis.regression.compatibility import Difference
from mdnbench.analysis.regression.findings import Change, Gate, State, Verdict
from mdnbench.analysis.regression.slowdown import SpeedChange
from mdnbench.analysis.regression.tolerances import Tolerances
from mdnbench.errors import NothingToDo, UnknownName
from mdnbench.planning.identity import METHOD
from mdnbench.results.numbers import fixed
from mdnbench.spec.names import counted
from mdnbench.store import queries
from mdnbench.store.rows import CellKey, CheckRow

if TYPE_CHECKING:
    from mdnbench.results import Results

GateKey = tuple[str, str, str]


@dataclass
class _Pairs:
    """The cells of a run, paired with those of a baseline.

    Attributes:
        groups: For each noise, method and metric, the cells with their value in the baseline and in the run.
        failed: Cells that were ok and are not any more, in words.
        unscored: The number of cells without a value, by metric and reason.
        better: The number of cells that became infinitely better.
        other_noise: The number of cells with other noisy pixels.
        seen: All cells of the run.
    """

    groups: dict[GateKey, list[tuple[CellKey, float, float]]] = field(default_factory=lambda: defaultdict(list))
    failed: list[str] = field(default_factory=list)
    unscored: Counter[tuple[str, str]] = field(default_factory=Counter)
    better: Counter[GateKey] = field(default_factory=Counter)
    other_noise: int = 0
    seen: set[CellKey] = field(default_factory=set)


def compare(
    results: Results,
    baseline: Baseline,
    tolerances: Mapping[str, float],
    *,
    partial: bool = False,
    timing: bool = False,
) -> Verdict:
    """Compare a run with a baseline.

    Every cell that was ok in the baseline is expected in the run.

    Args:
        results: The results of the run.
        baseline: The baseline.
        tolerances: By how much a mean may change, by metric, and `seconds` as a share. They take precedence.
        partial: Whether noises and methods that the run lacks are allowed.
        timing: Whether to compare seconds too.

    Returns:
        The verdict.

    Raises:
        UsageError: If the two differ in protocol, data, noise, noise information or metric revision.
        UnknownName: If there is a tolerance for a metric that the baseline does not have.
        NothingToDo: If the two have no cell in common that is ok in the baseline.
    """
    run = facts_with_code(results)
    compatibility.require(run, baseline.facts)
    _check_names(tolerances, baseline.facts)
    pairs = _pair(results, baseline)
    if not pairs.groups and not pairs.failed:
        raise NothingToDo(
            f"0 cells compared: run {results.name!r} and baseline {baseline.path} have no image, noise, seed and "
            "method in common that is ok in the baseline. This is not a pass."
        )
    rules = Tolerances(run, baseline.facts, tolerances, same_noise=not pairs.other_noise)
    differences = _differences(run, baseline.facts, pairs)
    found = (_gate(group, each, baseline.facts, rules) for group, each in pairs.groups.items())
    gates = tuple(_explained(gate, differences) for gate in found)
    paces, untimed = _timing(results, baseline, tolerances) if timing else ((), "")
    gone, cells = _lost(baseline, pairs.seen)
    return Verdict(
        str(baseline.path),
        results.name,
        gates,
        (*pairs.failed, *(() if partial else gone), *cells),
        _worst(pairs, baseline.facts, rules),
        differences,
        (*_unknown_code(run, baseline.facts, pairs), *_notes(results, baseline, pairs), *(gone if partial else ())),
        paces,
        untimed,
    )


def changes(results: Results, baseline: Baseline) -> Change:
    """Return what changes when a run replaces a baseline; no difference is refused."""
    run = facts_with_code(results)
    pairs = _pair(results, baseline)
    exact = dict.fromkeys(baseline.facts.metrics, 0.0)
    rules = Tolerances(run, baseline.facts, exact)
    gates = tuple(_gate(group, each, baseline.facts, rules) for group, each in pairs.groups.items())
    removed, added = len(baseline.cells.keys() - pairs.seen), len(pairs.seen - baseline.cells.keys())
    unlike = (*compatibility.refusals(run, baseline.facts), *_differences(run, baseline.facts, pairs))
    return Change(tuple(gate for gate in gates if gate.state != "pass"), added, removed, unlike)


def _check_names(tolerances: Mapping[str, float], facts: Facts) -> None:
    for name in tolerances:
        if name not in facts.metrics and name != SECONDS:
            raise UnknownName("metric in the baseline", name, (*facts.metrics, SECONDS))


@uncollected()
def _pair(results: Results, baseline: Baseline) -> _Pairs:
    """Return the cells of a run, paired with those of a baseline."""
    pairs, metrics = _Pairs(), tuple(baseline.facts.metrics)
    for mark in queries.check_rows(results.store, results.run, metrics):
        pairs.seen.add(mark.key)
        stored = baseline.cells.get(mark.key)
        if stored is None or stored.status != "ok":
            continue
        if mark.status != "ok":
            pairs.failed.append(f"{_words(mark.key)} was ok and is {mark.status} now: {mark.reason}")
            continue
        pairs.other_noise += bool(stored.noisy) and stored.noisy != mark.noisy_digest
        for metric, before, value in zip(metrics, stored.values, mark.values, strict=True):
            if before is None:
                pairs.unscored[metric, "the baseline has no value there"] += 1
            elif value is not None:
                group = (mark.key[1], mark.key[3], metric)
                if math.isinf(before) or math.isinf(value):
                    _leapt(pairs, group, mark.key, (before, value), baseline.facts.metrics[metric].direction)
                pairs.groups[group].append((mark.key, before, value))
            else:
                _lacking(pairs, metric, before, mark, metrics.index(metric))
    return pairs


def _leapt(pairs: _Pairs, group: GateKey, key: CellKey, values: tuple[float, float], direction: str) -> None:
    """Record what became of a cell with an infinite value in the baseline, in the run or in both."""
    leap = _leap(*values, direction)
    if leap == "regression":
        pairs.failed.append(f"{_words(key)}: {group[2]} was {values[0]:g} and is {values[1]:g} now")
    elif leap == "improvement":
        pairs.better[group] += 1


def _lacking(pairs: _Pairs, metric: str, before: float, mark: CheckRow, place: int) -> None:
    """Record a score that is missing in the run: a note if the metric is not available, a regression if it failed."""
    status, reason = mark.statuses[place], mark.reasons[place]
    if status in (None, "skipped"):
        pairs.unscored[metric, "the run was made without it" if reason is None else reason] += 1
    else:
        pairs.failed.append(f"{_words(mark.key)}: {metric} was {before:g} and is {status} now: {reason}")


def _gate(group: GateKey, pairs: list[tuple[CellKey, float, float]], facts: Facts, rules: Tolerances) -> Gate:
    metric = facts.metrics[group[2]]
    finite = [pair for pair in pairs if math.isfinite(pair[1]) and math.isfinite(pair[2])]
    chosen = finite or pairs  # one infinite value would hide all others
    before, after = (_mean(values) for values in list(zip(*chosen, strict=True))[1:])
    tolerance = rules.of(*group)
    leaps = _leaps(pairs, metric.direction) if len(finite) < len(pairs) else "pass"
    state = _state(before, after, metric.direction, tolerance.value) if finite else leaps
    if (state, leaps) == ("pass", "improvement"):  # a regression is already listed cell by cell, as missing
        state = leaps
    return Gate(
        *group, before, after, tolerance.value, len(chosen), state, metric.digits, tolerance.basis, metric.direction
    )


def _explained(gate: Gate, found: Sequence[Difference]) -> Gate:
    """Return a gate with its possible causes, if its mean changed by more than the tolerance."""
    if gate.state == "pass":
        return gate
    return replace(gate, causes=compatibility.explaining(found, gate.noise, gate.method, gate.metric))


def _unknown_code(run: Facts, baseline: Facts, pairs: _Pairs) -> Iterator[str]:
    """Yield for which methods the code is not known on one side, so a change of it would not be seen."""
    if not baseline.code:
        yield (
            "the baseline does not know the code behind its numbers, so that a change of code is not seen; "
            "`check --update` writes it anew"
        )
        return
    methods = dict.fromkeys(method for _, method, _ in pairs.groups)
    for facts, name in ((baseline, "the baseline"), (run, "this run")):
        unknown = [method for method in methods if f"{METHOD} {method}" not in facts.code]
        if unknown:
            yield f"{name} does not know the code behind {', '.join(unknown)}"


def _mean(values: Sequence[float]) -> float:
    """Return the mean, which is NaN if there are infinities of both signs; `fsum` alone would refuse them."""
    return (math.fsum if all(map(math.isfinite, values)) else sum)(values) / len(values)


def _leaps(pairs: list[tuple[CellKey, float, float]], direction: str) -> State:
    """Return the worst state of any cell with an infinite value."""
    return min((_leap(*pair[1:], direction) for pair in pairs), key=("regression", "improvement", "pass").index)


def _leap(before: float, after: float, direction: str) -> State:
    """Return the state of a cell that became infinite, stopped being infinite or changed its sign; otherwise 'pass'.

    No mean over finite values shows such a change.
    """
    finite = math.isfinite(before) and math.isfinite(after)
    return "pass" if finite else _state(before, after, direction, 0.0)


def _state(before: float, after: float, direction: str, tolerance: float) -> State:
    """Return whether a value got worse or better by more than the tolerance; NaN counts as worse."""
    if before == after:  # also if both are infinite
        return "pass"
    gain = (after - before) * (1 if direction == "higher" else -1)
    return "regression" if not gain >= -tolerance else "improvement" if gain > tolerance else "pass"


def _lost(baseline: Baseline, seen: set[CellKey]) -> tuple[list[str], list[str]]:
    """Return in words what was ok in the baseline and is missing in the run: noises and methods, then single cells."""
    noises, covered = {key[1] for key in seen}, {(key[1], key[3]) for key in seen}
    lost = [key for key, stored in baseline.cells.items() if stored.status == "ok" and key not in seen]
    whole = [key for key in lost if (key[1], key[3]) not in covered]
    gone = dict.fromkeys(f"{key[3]} ({key[1]})" if key[1] in noises else key[1] for key in whole)
    single = [_words(key) for key in lost if (key[1], key[3]) in covered]
    said = "is in the baseline and not in this run"
    return [f"{what} {said}" for what in gone], [f"{what} {said}" for what in single]


def _worst(pairs: _Pairs, facts: Facts, rules: Tolerances) -> tuple[str, ...]:
    """Return in words the single cells that got worse by more than the tolerance. They are only warnings."""
    found = []
    for (noise, method, metric), each in pairs.groups.items():
        known, tolerance = facts.metrics[metric], rules.of(noise, method, metric).value
        digits = known.digits + 1
        for key, before, after in each:
            if _state(before, after, known.direction, tolerance) == "regression":
                found.append(f"{_words(key)}: {metric} {fixed(before, digits)} → {fixed(after, digits)}")
    return tuple(found)


def _differences(run: Facts, baseline: Facts, pairs: _Pairs) -> tuple[Difference, ...]:
    found = compatibility.differences(run, baseline)
    if pairs.other_noise:
        others = f"others in {counted(pairs.other_noise, 'cell')}"
        found.append(Difference("noisy pixels", "as stored", others, "noisy pixels"))
    return tuple(found)


def _notes(results: Results, baseline: Baseline, pairs: _Pairs) -> tuple[str, ...]:
    known = {key[3] for key in baseline.cells}
    new = sorted({key[3] for key in pairs.seen} - known)
    unscored = [
        f"{metric} was not compared in {count} cells of the baseline: {reason}"
        for (metric, reason), count in pairs.unscored.items()
    ]
    unfinished = [] if results.run.finished else ["the run was interrupted before its end"]
    return (*unfinished, *unscored, *_improved(pairs), *(f"{method} is not in the baseline" for method in new))


def _improved(pairs: _Pairs) -> Iterator[str]:
    """Yield which methods became infinitely better in some cells, which the means over the other cells do not show."""
    for (noise, method, metric), many in pairs.better.items():
        if many < len(pairs.groups[noise, method, metric]):
            yield f"{method} ({noise}): {metric} became infinitely better in {counted(many, 'cell')}, and in no mean"


def _timing(
    results: Results, baseline: Baseline, tolerances: Mapping[str, float]
) -> tuple[tuple[SpeedChange, ...], str]:
    share = tolerances.get(SECONDS, baseline.facts.tolerances.get(SECONDS, slowdown.SHARE))
    return slowdown.compare(results.timing, baseline.timing, share)


def _words(key: CellKey) -> str:
    return f"{key[3]} on {key[0]} ({key[1]}, seed {key[2]})"

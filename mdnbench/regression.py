"""The regression check: a run's means against a baseline's, over the cells that both have."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mdnbench.baselines import Baseline, CellKey, Facts, facts_of
from mdnbench.errors import NothingToDo, UnknownName, UsageError

if TYPE_CHECKING:
    from mdnbench.results import Results

State = Literal["pass", "regression", "improvement", "missing"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One mean held against its baseline: a method under a noise by one metric, over so many paired cells."""

    noise: str
    method: str
    metric: str
    baseline: float
    measured: float
    tolerance: float
    cells: int
    state: State
    digits: int

    @property
    def change(self) -> float:
        """Measured less baseline."""
        return 0.0 if self.measured == self.baseline else self.measured - self.baseline


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: the gates, cells of the baseline that the run lacks or failed at, and the exit code."""

    baseline: str
    run: str
    gates: tuple[Gate, ...]
    missing: tuple[str, ...]
    worst: tuple[str, ...]

    @property
    def regressions(self) -> tuple[Gate, ...]:
        """The gates that fell."""
        return tuple(gate for gate in self.gates if gate.state == "regression")

    @property
    def exit_code(self) -> int:
        """1 when a gate fell or cells that were ok are not, else 0."""
        return 1 if self.regressions or self.missing else 0


def compare(results: Results, baseline: Baseline, tolerances: Mapping[str, float], *, partial: bool = False) -> Verdict:
    """Hold a run against a baseline: for each noise of the run, every cell of the baseline is expected.

    With `partial`, only the methods that the run has are. UsageError where the two are unlike; NothingToDo where no
    cell is in both.
    """
    _refuse_unlike(facts_of(results), baseline.facts)
    for name in tolerances:
        if name not in baseline.facts.metrics:
            raise UnknownName("metric in the baseline", name, baseline.facts.metrics)
    paired: dict[tuple[str, str, str], list[tuple[CellKey, float, float]]] = defaultdict(list)
    missing: list[str] = []
    seen: set[CellKey] = set()
    for row in results.rows():
        key = (row.image, row.noise, row.seed, row.method)
        seen.add(key)
        if baseline.statuses.get(key) != "ok":
            continue
        if row.status != "ok":
            missing.append(f"{_words(key)} was ok and is {row.status} now: {row.reason}")
            continue
        for metric, before in baseline.cells[key].items():
            after = row.value(metric)
            if before is not None and after is not None:
                paired[row.noise, row.method, metric].append((key, before, after))
    missing += _lost(baseline, seen, partial)
    if not paired:
        raise NothingToDo(
            f"0 cells compared: run {results.name!r} and baseline {baseline.path} have no image, noise, seed and "
            "method in common that is ok in both. This is not a pass."
        )
    gates = tuple(_gate(group, pairs, baseline.facts, tolerances) for group, pairs in paired.items())
    return Verdict(str(baseline.path), results.name, gates, tuple(missing), _worst(paired, baseline.facts, tolerances))


def _refuse_unlike(run: Facts, baseline: Facts) -> None:
    """Refuse to set side by side what differs in protocol, data, noise or metric revision."""
    unlike = [
        f"{what}: {mine!r} here, {theirs!r} in the baseline"
        for what, mine, theirs in (
            ("protocol", f"{run.protocol} {run.protocol_hash}", f"{baseline.protocol} {baseline.protocol_hash}"),
            ("data set digest", run.dataset_digest, baseline.dataset_digest),
            ("noise information", run.noise_info, baseline.noise_info),
            *((f"revision of noise {name}", run.noises[name], revision)
              for name, revision in baseline.noises.items() if name in run.noises),
            *((f"revision of metric {name}", run.metrics[name].revision, facts.revision)
              for name, facts in baseline.metrics.items() if name in run.metrics),
        )
        if mine != theirs
    ]  # fmt: skip
    if unlike:
        raise UsageError(f"these cannot be compared: {'; '.join(unlike)}. Run what the baseline was made of.")


def _gate(
    group: tuple[str, str, str],
    pairs: list[tuple[CellKey, float, float]],
    facts: Facts,
    tolerances: Mapping[str, float],
) -> Gate:
    metric = facts.metrics[group[2]]
    before = math.fsum(pair[1] for pair in pairs) / len(pairs)
    after = math.fsum(pair[2] for pair in pairs) / len(pairs)
    tolerance = tolerances.get(group[2], metric.tolerance)
    state = _state(before, after, metric.direction, tolerance)
    return Gate(*group, before, after, tolerance, len(pairs), state, metric.digits)


def _state(before: float, after: float, direction: str, tolerance: float) -> State:
    if before == after:  # also infinite on both sides
        return "pass"
    gain = (after - before) * (1 if direction == "higher" else -1)
    return "regression" if not gain >= -tolerance else "improvement" if gain > tolerance else "pass"


def _lost(baseline: Baseline, seen: set[CellKey], partial: bool) -> list[str]:
    """Cells that the baseline has and the run lacks, in words; a method that is gone altogether is one line."""
    noises, covered = {key[1] for key in seen}, {(key[1], key[3]) for key in seen}
    lost = [key for key, status in baseline.statuses.items() if status == "ok" and key[1] in noises and key not in seen]
    gone = {} if partial else {(key[1], key[3]): None for key in lost if (key[1], key[3]) not in covered}
    single = [key for key in lost if (key[1], key[3]) in covered]
    return [
        *(f"{method} ({noise}) is in the baseline and not in this run" for noise, method in gone),
        *(f"{_words(key)} is in the baseline and not in this run" for key in single),
    ]


def _worst(
    paired: Mapping[tuple[str, str, str], list[tuple[CellKey, float, float]]],
    facts: Facts,
    tolerances: Mapping[str, float],
) -> tuple[str, ...]:
    """Single cells beyond the tolerance, in words: they warn, the means decide."""
    found = []
    for (_, _, metric), pairs in paired.items():
        each = facts.metrics[metric]
        for key, before, after in pairs:
            if _state(before, after, each.direction, tolerances.get(metric, each.tolerance)) == "regression":
                found.append(f"{_words(key)}: {metric} {before:.{each.digits}f} → {after:.{each.digits}f}")
    return tuple(found)


def _words(key: CellKey) -> str:
    return f"{key[3]} on {key[0]} ({key[1]}, seed {key[2]})"

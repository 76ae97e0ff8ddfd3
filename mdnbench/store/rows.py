"""The frozen rows that the store gives out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mdnbench.spec.records import MetricScore, Status, Used
from mdnbench.spec.timings import TimingRecord
from mdnbench.store.facts import Provenance, RunFacts

CellKey = tuple[str, str, int, str]  # image, noise, seed and method


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run: its name, when it began and ended, how many cells it planned, and the facts that define it."""

    id: int
    name: str
    created: str
    finished: str
    planned: int
    facts: RunFacts

    @property
    def scored_as(self) -> Mapping[str, str]:
        """The revision and code of each metric, by name: what its scores are stored under."""
        return self.facts.scored_as


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files behind the results of one method under one noise, or of one metric, by what used them.

    `token` stands for the manifest in keys: it stays when files that are loaded later are added. `id` is 0 before it
    is stored.
    """

    scope: str
    token: str
    files: Used
    id: int = 0


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """What the store knows of an output, and how many of the metrics that were asked for it has a value by."""

    id: int
    status: Status
    output_digest: str
    scores: int


@dataclass(frozen=True, slots=True)
class CellRow:
    """One cell of a run with its scores: a line of `cells.csv`."""

    dataset: str
    image: str
    noise: str
    seed: int
    method: str
    status: Status
    reason: str
    seconds: float | None
    noise_info: str
    image_digest: str
    case: str
    output: str
    noisy_digest: str
    output_digest: str
    traceback: str
    provenance: Provenance
    scores: Mapping[str, MetricScore]

    def value(self, metric: str) -> float | None:
        """The metric's value, or None where it has none."""
        score = self.scores.get(metric)
        return score.value if score else None


class Mark(NamedTuple):
    """What a check needs of a cell: which it is, what came of it, its noisy image's digest, and its scores.

    Of each metric that was asked for it has the value, the status and the reason, all None where it was not scored. A
    tuple and not a dataclass: a check makes one for each of maybe a million cells.
    """

    key: CellKey
    status: Status
    reason: str
    noisy_digest: str
    values: tuple[float | None, ...]
    statuses: tuple[Status | None, ...]
    reasons: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class MeanRow:
    """One line of a table: a method under a noise, its means over the cells that are ok, and the cells that are not.

    `infinite` counts the values that are ∞ or −∞, `negative` those of them that are −∞, by metric.
    `problems` counts the cells that are not ok by status, `reasons` has one reason for each such status, and
    `unscored` says of each metric in how many ok cells it has no value, and one reason for it; `failed_scores` counts
    those of them that are not skipped, of metrics that can be computed here.
    """

    noise: str
    method: str
    noise_info: str
    means: Mapping[str, float | None]
    counts: Mapping[str, int]
    infinite: Mapping[str, int]
    seconds: float | None
    ok: int
    total: int
    problems: Mapping[str, int]
    reasons: Mapping[str, str] = field(default_factory=dict)
    unscored: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    failed_scores: int = 0
    negative: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimingRow:
    """A timing record as it was stored: its key, when, and the record itself."""

    key: str
    created: str
    content: TimingRecord

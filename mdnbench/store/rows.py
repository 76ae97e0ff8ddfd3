"""The frozen rows that the store returns."""

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
    """A run.

    Attributes:
        id: The id in the store.
        name: The name.
        created: When it started, in UTC.
        finished: When it finished, in UTC; '' if it did not.
        planned: The number of its cells.
        facts: The facts that define it.
    """

    id: int
    name: str
    created: str
    finished: str
    planned: int
    facts: RunFacts

    @property
    def scored_as(self) -> Mapping[str, str]:
        """Return the revision (with code) under which the scores of each metric are stored, by metric."""
        return self.facts.scored_as


@dataclass(frozen=True, slots=True)
class CodeManifest:
    """The files behind the results of one method under one noise, or of one metric.

    Attributes:
        scope: What the manifest belongs to.
        token: What identifies the manifest in keys. It does not change when files that are loaded later are added.
        files: The files, by the role that used them.
        id: The id in the store; 0 before the manifest is stored.
    """

    scope: str
    token: str
    files: Used
    id: int = 0


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """A stored output.

    Attributes:
        id: The id in the store.
        status: The status.
        output_digest: The digest of its pixels.
        scores: How many of the requested metrics have a value.
    """

    id: int
    status: Status
    output_digest: str
    scores: int


@dataclass(frozen=True, slots=True)
class CellRow:
    """One cell of a run with its scores, which is a line of `cells.csv`."""

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
        """Return the value of a metric, or None if there is none."""
        score = self.scores.get(metric)
        return score.value if score else None


class CheckRow(NamedTuple):
    """What a check needs of a cell. It is a tuple and not a dataclass, because a check makes up to a million of them.

    Attributes:
        key: The image, noise, seed and method.
        status: The status of the cell.
        reason: The reason for the status.
        noisy_digest: The digest of the noisy image.
        values: The value by each requested metric; None if it was not scored.
        statuses: The status of each score; None if it was not scored.
        reasons: The reason for each status; None if it was not scored.
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
    """One line of a table: a method under a noise, with its means over the cells that are ok.

    Attributes:
        noise: The noise.
        method: The method.
        noise_info: How the method got its information about the noise.
        means: The mean by each metric.
        counts: The number of values by each metric.
        infinite: The number of values that are ∞ or −∞, by metric.
        seconds: The mean time of a cell.
        ok: The number of cells that are ok.
        total: The number of all cells.
        problems: The number of cells that are not ok, by status.
        reasons: One reason for each such status.
        unscored: For each metric, the number of ok cells without a value, and one reason.
        failed_scores: How many of these are not skipped, for metrics that can be computed here.
        negative: The number of values that are −∞, by metric.
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
    """A stored timing record: its key, when it was stored, and the record itself."""

    key: str
    created: str
    content: TimingRecord

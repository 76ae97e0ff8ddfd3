"""The document of `mdnbench run --json`: a run's facts and means, its cells, and its timing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdnbench.results.tables import mean_of
from mdnbench.spec.timings import TimingRecord
from mdnbench.store.facts import RunFacts

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.table import Table
    from mdnbench.store import CellRow

Values = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class LineDocument:
    """A method's line in the table of one noise.

    Attributes:
        means: The mean by metric; null if there is none, or if it is infinite.
        infinite: The metrics with an infinite mean.
        seconds: The mean time of a cell during the run.
        ok: The number of cells that are ok.
        total: The number of all cells.
    """

    method: str
    means: Values
    infinite: tuple[str, ...]
    seconds: float | None
    ok: int
    total: int


@dataclass(frozen=True, slots=True)
class TableDocument:
    """The table of one noise, best method first, and its notes."""

    noise: str
    lines: tuple[LineDocument, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellDocument:
    """A cell: a method on one noisy image.

    Attributes:
        scores: The score by metric; null if there is none, or if it is infinite.
        infinite: The metrics with an infinite score.
        weights: The first characters of the digest of the method's weights.
    """

    dataset: str
    image: str
    noise: str
    seed: int
    method: str
    status: str
    reason: str
    scores: Values
    infinite: tuple[str, ...]
    seconds: float | None
    noise_info: str
    weights: str
    image_digest: str
    noisy_digest: str
    output_digest: str
    output: str


@dataclass(frozen=True, slots=True)
class RunDocument:
    """A run with its results.

    Attributes:
        counts: The number of cells by status.
        unmet: The methods that were named but have no cell that is ok, with the reason.
    """

    name: str
    folder: str
    exit_code: int
    counts: Mapping[str, int]
    unmet: Mapping[str, str]
    facts: RunFacts
    tables: tuple[TableDocument, ...]
    cells: tuple[CellDocument, ...]
    timing: TimingRecord | None


def of(results: Results) -> RunDocument:
    """Return the document of a run."""
    metrics = results.metrics
    return RunDocument(
        name=results.name,
        folder=str(results.folder),
        exit_code=results.exit_code,
        counts=dict(results.counts),
        unmet=results.unmet,
        facts=results.run.facts,
        tables=tuple(_table(table, results) for table in results.tables),
        cells=tuple(_cell(row, metrics) for row in results.rows()),
        timing=results.timing,
    )


def _table(table: Table, results: Results) -> TableDocument:
    rows = {row.method: row for row in results.means if row.noise == table.caption}
    lines = []
    for method in table.names:
        row = rows[method]
        means = {name: mean_of(row, name) for name in results.metrics}
        lines.append(LineDocument(method, means, _infinite(means), row.seconds, row.ok, row.total))
    return TableDocument(table.caption, tuple(lines), table.notes)


def _cell(row: CellRow, metrics: tuple[str, ...]) -> CellDocument:
    scores = {name: row.value(name) for name in metrics}
    return CellDocument(
        row.dataset, row.image, row.noise, row.seed, row.method, row.status, row.reason, scores, _infinite(scores),
        row.seconds, row.noise_info, row.provenance.weights_digest[:12], row.image_digest, row.noisy_digest,
        row.output_digest, row.output,
    )  # fmt: skip


def _infinite(values: Values) -> tuple[str, ...]:
    return tuple(name for name, value in values.items() if value is not None and math.isinf(value))

"""The rows and facts of one run, read from the store when they are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mdnbench.errors import UnknownName
from mdnbench.results import tables
from mdnbench.results.table import Table
from mdnbench.spec.records import Tally
from mdnbench.spec.timings import TimingRecord
from mdnbench.store import CellRow, MeanRow, RunRow, Store, queries, row_checks
from mdnbench.util import jsonfile

if TYPE_CHECKING:
    from mdnbench.registry import Registry
    from mdnbench.spec.specs import DatasetSpec

CELL = ("dataset", "image", "noise", "seed", "method", "status", "reason")
ORIGIN = ("seconds", "noise_info", "weights", "image_digest", "noisy_digest", "output_digest", "output")


class RunData:
    """One run of a store: its facts, cells, means, tables and timings, read when they are first needed."""

    def __init__(self, store: Store, name: str, folder: Path) -> None:
        """Prepare to read the results of a run from a store; `folder` holds the run's files."""
        self.store = store
        self.name = name
        self.folder = folder
        self.tally: Tally | None = None  # None if the run was only opened, not computed
        self.plugins: tuple[Path, ...] = ()  # plugin files, in which reporters look up the run's names
        self.known: Registry | None = None  # the plugins, if this process computed the run,
        self.dataset: DatasetSpec | None = None  # and the data set with its images

    @cached_property
    def run(self) -> RunRow:
        """The run's facts.

        Raises:
            UnknownName: If the store has no such run.
            StoreError: If its rows are not valid, or if two methods received different noisy images of one case.

        """
        found = self.store.run(self.name)
        if found is None:
            raise UnknownName("run", self.name, self.store.run_names(), hint="`mdnbench list runs` shows all.")
        row_checks.require_valid(self.store, found)
        queries.require_one_image_per_case(self.store, found)
        return found

    def neighbour(self, name: str) -> Self:
        """Return another run of the same store, whose folder is next to the folder of this run."""
        return type(self)(self.store, name, self.folder.parent / name)

    def rows(self) -> Iterator[CellRow]:
        """Yield the cells one by one, in the plan's order."""
        return queries.cells(self.store, self.run)

    @cached_property
    def means(self) -> list[MeanRow]:
        """One row per noise and method."""
        return queries.means(self.store, self.run)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """One table per noise."""
        return tables.of_run(self.run, self.means)

    @cached_property
    def counts(self) -> Counter[str]:
        """The number of cells with each status."""
        counts: Counter[str] = Counter()
        for row in self.means:
            counts["ok"] += row.ok
            counts.update(row.problems)
        return counts

    @property
    def failed_scores(self) -> int:
        """The number of scores of ok cells that failed, for instance because the metric raised an error."""
        return sum(row.failed_scores for row in self.means)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The requested metrics, in their order."""
        return tuple(self.run.facts.metric_facts)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of `cells.csv`: first those that identify the cell, then the metrics, then the values' origin."""
        return (*CELL, *self.metrics, *ORIGIN)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the cells as dictionaries, which are the rows of `cells.csv`."""
        columns, metrics = self.columns, self.metrics
        for row in self.rows():
            plain = {name: getattr(row, name, None) for name in columns}
            plain |= {name: row.value(name) for name in metrics}
            plain["weights"] = row.provenance.weights_digest[:12]
            yield plain

    @property
    def timing(self) -> TimingRecord | None:
        """The timing record, or None if there is none."""
        path = self.folder / "timing.json"
        return jsonfile.read(path, "timing record", TimingRecord) if path.is_file() else None

    @property
    def unmet(self) -> dict[str, str]:
        """The methods that were requested by name, not through `all`, and have no ok cell, each with the reason."""
        found = {}
        for method in self.run.facts.named:
            rows = [row for row in self.means if row.method == method]
            if rows and not any(row.ok for row in rows):
                reasons = [f"{status}: {reason}" for row in rows for status, reason in row.reasons.items()]
                found[method] = "; ".join(dict.fromkeys(reasons))
        return found

    @property
    def exit_code(self) -> int:
        """The exit code: 0 if all went well, 4 if a cell or a score failed, 5 if there is no cell.

        A skipped cell is not a failure, unless a method that was requested by name has no ok cell.
        """
        if not sum(self.counts.values()):
            return 5
        failed_cells = sum(count for status, count in self.counts.items() if status not in ("ok", "skipped"))
        return 4 if failed_cells or self.failed_scores or self.unmet else 0

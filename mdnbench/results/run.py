"""Results: a run read back from the store. What the Python API returns and reporters write down."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.errors import NothingToDo, StoreError, UnknownName
from mdnbench.results import places, tables
from mdnbench.results.table import Table
from mdnbench.spec.records import Tally
from mdnbench.store import CellRow, MeanRow, RunRow, Store, contents, open_store, queries
from mdnbench.store.database import MORE
from mdnbench.util import jsonfile
from mdnbench.util.slugs import is_slug

if TYPE_CHECKING:
    import pandas

    from mdnbench.registry import Registry
    from mdnbench.spec.specs import DatasetSpec

COLUMNS = ("dataset", "image", "noise", "seed", "method", "status", "reason", "psnr", "ssim", "lpips", "seconds")


class Results:
    """The results of one run. Everything is read from the store when it is asked for."""

    def __init__(self, store: Store, name: str, folder: Path) -> None:
        """`folder` is the run's folder, for its files."""
        self.store = store
        self.name = name
        self.folder = folder
        self.tally: Tally | None = None  # what `run` computed; None for a run that was only opened
        self.plugins: tuple[Path, ...] = ()  # plugin files that reporters know the run's names by
        self.known: Registry | None = None  # where this process has made the run: what it was made with,
        self.dataset: DatasetSpec | None = None  # and the data set that has just given its images

    @cached_property
    def run(self) -> RunRow:
        """The run's facts; UnknownName if the store has no such run, StoreError if its rows are none of ours."""
        found = self.store.run(self.name)
        if found is None:
            raise UnknownName("run", self.name, self.store.run_names(), hint="`mdnbench list runs` shows all.")
        contents.require_sound(self.store, found)
        return found

    def rows(self) -> Iterator[CellRow]:
        """The cells one by one, in the plan's order."""
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
        """How many cells have which status."""
        counts: Counter[str] = Counter()
        for row in self.means:
            counts["ok"] += row.ok
            counts.update(row.problems)
        return counts

    @property
    def failed_scores(self) -> int:
        """How many scores of ok cells went wrong: their metric raised, say, or an attempt at it came to nothing."""
        return sum(row.failed_scores for row in self.means)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were asked for, in their order."""
        return tuple(self.run.facts["metric_facts"])

    @property
    def cells(self) -> pandas.DataFrame:
        """The cells as a pandas table, with the columns of `cells.csv`."""
        import pandas

        records = list(self.records())
        return pandas.DataFrame.from_records(records, columns=self.columns if not records else None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of `cells.csv`: the fixed ones first, then other metrics and provenance."""
        more = tuple(name for name in self.metrics if name not in COLUMNS)
        return (*COLUMNS, *more, "noise_info", "weights", "image_digest", "noisy_digest", "output_digest", "output")

    def records(self) -> Iterator[dict[str, Any]]:
        """The cells as plain records: the lines of `cells.csv`."""
        columns, metrics = self.columns, {*self.metrics, "psnr", "ssim", "lpips"}
        for row in self.rows():
            plain = {name: getattr(row, name, None) for name in columns}
            plain |= {name: row.value(name) for name in metrics}
            plain["weights"] = row.provenance["weights_digest"][:12]
            yield plain

    @property
    def timing(self) -> dict[str, Any] | None:
        """The timing record in pytest-benchmark's format, or None where there is none."""
        path = self.folder / "timing.json"
        shape: dict[str, Any] = {"machine_info": {}, "benchmarks": [{}]}
        found: dict[str, Any] | None = jsonfile.read(path, "timing record", shape) if path.is_file() else None
        return found

    @property
    def unmet(self) -> dict[str, str]:
        """The methods that were asked for by name and not through `all`, and have no cell that is ok, with the reason.

        A run of an earlier version does not know which were named, and has none.
        """
        found = {}
        for method in self.run.facts.get("named", ()):
            rows = [row for row in self.means if row.method == method]
            if rows and not any(row.ok for row in rows):
                reasons = [f"{status}: {reason}" for row in rows for status, reason in row.reasons.items()]
                found[method] = "; ".join(dict.fromkeys(reasons))
        return found

    @property
    def exit_code(self) -> int:
        """0 when all went well, 4 when some cells or scores went wrong, 5 when there is no cell.

        A skipped cell is no failure, unless a method that was asked for by name has no cell that is ok.
        """
        if not sum(self.counts.values()):
            return 5
        failed_cells = sum(count for status, count in self.counts.items() if status not in ("ok", "skipped"))
        return 4 if failed_cells or self.failed_scores or self.unmet else 0


def find(workspace: Path, name: str) -> Results:
    """The results of a run by name or by its folder's path."""
    said = places.read(Path(name)) or places.read(places.home(workspace, name))
    path = said.store if said else workspace / "results.sqlite"
    if said:
        places.require_store(said, workspace)
    if not os.path.isfile(path):  # noqa: PTH113 (Path.is_file() raises where a name is too long)
        source = f", which {said.file} names" if said else ""
        raise NothingToDo(
            f"there is no run {name!r}: no results are stored in {path.parent}{source}. Run something first."
        )
    store = open_store(path)
    results = Results(store, said.name, said.folder) if said else _unsaid(store, workspace, name)
    _ = results.run
    if not is_slug(results.name):  # its files would be written under that name
        raise StoreError(f"the store {path} has a run named {results.name!r}, a name that no run gets. {MORE}")
    return results


def _unsaid(store: Store, workspace: Path, name: str) -> Results:
    """A run of the workspace that has no file of its own, as after a kill."""
    folder = places.home(workspace, name)
    return Results(store, folder.name if store.run(folder.name) else name, folder)

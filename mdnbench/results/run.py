"""The results of a run, read from the store, for reporters and notebooks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import registry
from mdnbench.errors import NothingToDo, StoreError, UnknownName
from mdnbench.results import grids, run_location, tables
from mdnbench.results.render import html
from mdnbench.results.run_data import RunData
from mdnbench.spec.names import counted
from mdnbench.store import MeanRow, Store, open_store
from mdnbench.store.database import MORE
from mdnbench.util.slugs import is_slug

if TYPE_CHECKING:
    import pandas

    from mdnbench.results.crops import CropBox
    from mdnbench.results.figure import PictureFigure


class Results(RunData):
    """The results of one run, read from the store on first access; a notebook displays them as tables."""

    @property
    def cells(self) -> pandas.DataFrame:
        """The cells as a pandas table, with the columns of `cells.csv`."""
        import pandas

        records = list(self.records())
        return pandas.DataFrame.from_records(records, columns=self.columns if not records else None)

    def table(self, noise: str = "") -> pandas.DataFrame:
        """Return the means as a pandas table with a row per method, best first.

        Args:
            noise: The noise to show. Without it, all noises are shown.

        Returns:
            The table, with a column per metric and the columns `seconds`, `ok` and `total`. If it holds several noises,
            the noise is the first level of its index.

        """
        import pandas

        chosen = [self._noise(noise)] if noise else [table.caption for table in self.tables]
        rows = {(row.noise, row.method): row for row in self.means}
        places = [(table.caption, name) for table in self.tables if table.caption in chosen for name in table.names]
        frame = pandas.DataFrame.from_records(
            [self._record(rows[place]) for place in places], columns=[*self.metrics, "seconds", "ok", "total"]
        )
        if len(chosen) == 1:
            frame.index = pandas.Index([method for _, method in places], name="method")
        else:
            frame.index = pandas.MultiIndex.from_tuples(places, names=["noise", "method"])
        return frame

    def show(
        self,
        image: str = "",
        *,
        noise: str = "",
        methods: str | Sequence[str] = (),
        seed: int = 0,
        crop: CropBox | None = None,
    ) -> PictureFigure:
        """Draw the clean image, the noisy image and the methods' outputs with their scores, each with a crop.

        Outputs are shown if the run kept them (`keep_images`; by default those of the first seed).

        Args:
            image: The image's id; without it, the run's first image.
            noise: The noise; without it, the run's first noise.
            methods: One method or several; without any, all.
            seed: The number of the noise realisation.
            crop: The crop as left, top, width and height in pixels. Without it, the crop is the square in which the
                outputs differ most from the clean image.

        """
        from mdnbench.results import figure

        named = [methods] if isinstance(methods, str) else list(methods)
        return figure.of(
            self,
            image=image or next(iter(self.run.facts.images)),
            noise=self._noise(noise),
            methods=[self._method(text) for text in named if text],
            seed=seed,
            crop=crop,
        )

    def _record(self, row: MeanRow) -> dict[str, Any]:
        """Return a row of the means as a dictionary."""
        means = {name: tables.mean_of(row, name) for name in self.metrics}
        return {**means, "seconds": row.seconds, "ok": row.ok, "total": row.total}

    def _method(self, text: str) -> str:
        """Return the canonical text of a method.

        A method of the run needs no plugin, because the plugin's file may be gone.
        """
        return text if text in self.run.facts.methods else registry.load(self.plugins).method(text).text

    def _noise(self, text: str) -> str:
        """Return the canonical text of one of the run's noises, or of the first if the text is empty."""
        noises = [table.caption for table in self.tables]
        if not noises:
            raise NothingToDo(f"the run {self.name!r} has no cells.")
        if not text:
            return noises[0]
        wanted = text if text in noises else registry.load(self.plugins).noise(text).text
        if wanted not in noises:
            raise UnknownName("noise in the run", wanted, noises)
        return wanted

    def _repr_html_(self) -> str:
        """Return the heading, the tables and the footnotes as HTML; a run with many noises is shown as grids."""
        shown = self.tables if len(self.tables) <= grids.MANY else grids.of_run(self.run, self.means)
        parts = [*map(html.paragraph, tables.heading(self.run)), *map(html.render, shown)]
        if shown is not self.tables:
            parts += [html.paragraph(f"{each.caption}: {note}") for each in self.tables for note in each.notes]
        return html.block([*parts, *map(html.paragraph, tables.footnotes(self.run))])

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        return f"<mdnbench.Results {self.name!r}: {counts}; {', '.join(self._names())}>"

    def _names(self) -> list[Any]:
        """Return the numbers of methods, noises and images with their nouns."""
        facts = self.run.facts
        numbers = {"method": len(facts.methods), "noise": len(facts.noises), "image": len(facts.images)}
        return [counted(number, noun) for noun, number in numbers.items()]


def find(workspace: Path, name: str) -> Results:
    """Return the results of a run.

    Args:
        workspace: The workspace.
        name: The run's name, or the path of its folder.

    Raises:
        NothingToDo: If there is no store with results.
        UnknownName: If the store has no such run.
        BadFile: If the run's file cannot be used.
        StoreError: If the stored run is not valid.

    """
    said = run_location.read(Path(name)) or run_location.read(run_location.run_folder(workspace, name))
    path = said.store if said else workspace / "results.sqlite"
    if said:
        run_location.require_store(said, workspace)
    if not os.path.isfile(path):  # noqa: PTH113 (Path.is_file() raises an error if a name is too long)
        source = f", which {said.file} names" if said else ""
        raise NothingToDo(
            f"there is no run {name!r}: no results are stored in {path.parent}{source}. Run something first."
        )
    store = open_store(path)
    results = Results(store, said.name, said.folder) if said else _run_without_file(store, workspace, name)
    _ = results.run
    if not is_slug(results.name):  # otherwise its files would be written under that name
        raise StoreError(f"the store {path} has a run named {results.name!r}, a name that no run gets. {MORE}")
    return results


def _run_without_file(store: Store, workspace: Path, name: str) -> Results:
    """Return a run of the workspace without a `run.json` of its own, as after a kill."""
    folder = run_location.run_folder(workspace, name)
    return Results(store, folder.name if store.run(folder.name) else name, folder)

"""Results as a notebook has them: shown as tables, with pictures, comparisons and pandas at hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mdnbench import registry, results
from mdnbench.errors import NothingToDo, UnknownName
from mdnbench.results import grids, tables
from mdnbench.results.render import html
from mdnbench.spec.names import counted

if TYPE_CHECKING:
    import pandas

    from mdnbench.analysis.statistics import Comparison
    from mdnbench.results.cuts import Box
    from mdnbench.results.figure import PictureFigure
    from mdnbench.store import MeanRow


class Results(results.Results):
    """The results of one run, read from the store when they are asked for; in a notebook they show their tables."""

    def table(self, noise: str = "") -> pandas.DataFrame:
        """The means as a pandas table: a row per method, best first; a column per metric, then seconds, ok, total.

        Of the run's only noise, or of the one named; of several noises together, with the noise as first index.
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

    def compare(self, *others: results.Results, metrics: Iterable[str] = (), against: str = "") -> Comparison:
        """Compare the methods image by image, of this run or of several: intervals, paired differences, tests.

        With `against`, only the pairs with that method are made, and corrected as such.
        """
        from mdnbench.analysis import statistics

        return statistics.compare((self, *others), metrics=tuple(metrics), against=against)

    def show(
        self,
        image: str = "",
        *,
        noise: str = "",
        methods: str | Sequence[str] = (),
        seed: int = 0,
        crop: Box | None = None,
    ) -> PictureFigure:
        """Draw an image clean, noisy and as each method left it, with its score, and a detail of each: a figure.

        Without `image` the run's first one, without `noise` its first. Outputs are there where the run kept them
        (`keep_images`, by default those of the first seed). `crop` is the detail: left, top, width and height in
        pixels; without one, the square where the outputs are furthest from the clean image.
        """
        from mdnbench.results import figure

        named = [methods] if isinstance(methods, str) else list(methods)
        return figure.of(
            self,
            image=image or next(iter(self.run.facts["images"])),
            noise=self._noise(noise),
            methods=[self._method(text) for text in named if text],
            seed=seed,
            crop=crop,
        )

    def _record(self, row: MeanRow) -> dict[str, Any]:
        means = {name: tables.mean_of(row, name) for name in self.metrics}
        return {**means, "seconds": row.seconds, "ok": row.ok, "total": row.total}

    def _method(self, text: str) -> str:
        """A method as the run has it: what stands in the run needs no plugin, whose file may be gone."""
        return text if text in self.run.facts["methods"] else registry.load(self.plugins).method(text).text

    def _noise(self, text: str) -> str:
        """The run's noise that a text means, as `gaussian:50`; its first where the text is empty."""
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
        """Return what stands above the run's tables, the tables (grids where there are many), and what is below."""
        shown = self.tables if len(self.tables) <= grids.MANY else grids.of_run(self.run, self.means)
        parts = [*map(html.paragraph, tables.heading(self.run)), *map(html.render, shown)]
        if shown is not self.tables:
            parts += [html.paragraph(f"{each.caption}: {note}") for each in self.tables for note in each.notes]
        return html.block([*parts, *map(html.paragraph, tables.footnotes(self.run))])

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        return f"<mdnbench.Results {self.name!r}: {counts}; {', '.join(self._names())}>"

    def _names(self) -> list[Any]:
        facts = self.run.facts
        return [counted(len(facts[f"{noun}s"]), noun) for noun in ("method", "noise", "image")]

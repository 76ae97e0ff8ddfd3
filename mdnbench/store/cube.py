"""A run's scores as arrays: what statistics are computed from, read without one Python object per cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from mdnbench.store.database import Store
from mdnbench.store.rows import RunRow

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_PLACES = """
    SELECT c.position, c.noise, c.method, c.image, c.seed
    FROM run_cells c JOIN outputs o ON o.id = c.output WHERE c.run = ? AND o.status = 'ok'
"""
_VALUES = """
    SELECT c.position, s.value
    FROM run_cells c JOIN scores s ON s.output = c.output AND s.rule = ? AND s.metric = ? AND s.revision = ?
    WHERE c.run = ? AND s.status = 'ok'
"""


@dataclass(frozen=True, eq=False)
class ScoreCube:
    """The scores of a run: for each metric float64 (noises, methods, images, seeds), NaN where there is none."""

    noises: tuple[str, ...]
    methods: tuple[str, ...]
    images: tuple[str, ...]
    seeds: int
    values: Mapping[str, Array]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The numbers of noises, methods, images and seeds."""
        return (len(self.noises), len(self.methods), len(self.images), self.seeds)


def read(store: Store, run: RunRow, metrics: Iterable[str] | None = None, rule: str | None = None) -> ScoreCube:
    """The scores of a run by the named metrics (all of its own by default) under a scoring rule (its own)."""
    facts = run.facts
    axes = (tuple(facts["noises"]), tuple(facts["methods"]), tuple(facts["images"]))
    shape = (*map(len, axes), int(facts["seeds"]))
    places = _places(store, run, axes, shape)
    values = {
        name: _values(store, run, shape, places, (rule or facts["scoring_rule"], name, revision_of(run, name)))
        for name in (facts["metrics"] if metrics is None else metrics)
    }
    return ScoreCube(*axes, shape[3], values)


def revision_of(run: RunRow, metric: str) -> str:
    """What a metric's scores are stored under; a setting that the run lacks, as `ssim[uniform]`, has its metric's."""
    revisions = run.scored_as
    return revisions[metric if metric in revisions else metric.partition("[")[0]]


def _places(store: Store, run: RunRow, axes: tuple[tuple[str, ...], ...], shape: tuple[int, ...]) -> Array:
    """For each position of the run, the flat index of its cell in the cube; -1 where it has none."""
    import numpy as np

    noises, methods, images = ({name: index for index, name in enumerate(axis)} for axis in axes)
    _, many_methods, many_images, seeds = shape
    rows = (
        (position, ((noises[noise] * many_methods + methods[method]) * many_images + images[image]) * seeds + seed)
        for position, noise, method, image, seed in store.select(_PLACES, (run.id,))
    )
    pairs = np.fromiter(rows, dtype=[("position", "i8"), ("place", "i8")])
    places = np.full(int(pairs["position"].max(initial=-1)) + 1, -1)
    places[pairs["position"]] = pairs["place"]
    return places


def _values(store: Store, run: RunRow, shape: tuple[int, ...], places: Array, key: tuple[str, str, str]) -> Array:
    import numpy as np

    found = np.fromiter(store.select(_VALUES, (*key, run.id)), dtype=[("position", "i8"), ("value", "f8")])
    found = found[found["position"] < len(places)]
    place = places[found["position"]]
    values = np.full(shape, np.nan)
    values.reshape(-1)[place[place >= 0]] = found["value"][place >= 0]
    return values

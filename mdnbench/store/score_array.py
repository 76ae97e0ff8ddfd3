"""The scores of a run as arrays, for statistics. They are read without a Python object for each cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mdnbench.errors import StoreError
from mdnbench.store.database import MORE, Store
from mdnbench.store.rows import RunRow

if TYPE_CHECKING:
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
_STRANGER = "the store {} is damaged: a cell of the run {!r} is none that its facts name ({}). {}"


@dataclass(frozen=True, eq=False)
class ScoreArray:
    """The scores of a run.

    Attributes:
        noises: The noises, along the first axis.
        methods: The methods, along the second axis.
        images: The images, along the third axis.
        seeds: The number of seeds, along the fourth axis.
        values: For each metric a float64 array; NaN if there is no score.
    """

    noises: tuple[str, ...]
    methods: tuple[str, ...]
    images: tuple[str, ...]
    seeds: int
    values: Mapping[str, Array]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return the numbers of noises, methods, images and seeds."""
        return (len(self.noises), len(self.methods), len(self.images), self.seeds)


def read(store: Store, run: RunRow, metrics: Iterable[str] | None = None, rule: str | None = None) -> ScoreArray:
    """Return the scores of a run as arrays.

    Args:
        store: The store.
        run: The run.
        metrics: The metrics to read; by default, all of the run's.
        rule: The digest of a scoring rule; by default, the run's.
    """
    facts = run.facts
    axes = (tuple(facts.noises), tuple(facts.methods), tuple(facts.images))
    shape = (*map(len, axes), int(facts.seeds))
    places = _positions(store, run, axes, shape)
    values = {
        name: _values(store, run, shape, places, (rule or facts.scoring_rule, name, revision_of(run, name)))
        for name in (facts.metrics if metrics is None else metrics)
    }
    return ScoreArray(*axes, shape[3], values)


def revision_of(run: RunRow, metric: str) -> str:
    """Return the revision under which a metric's scores are stored.

    A setting that the run does not list, such as `ssim[uniform]`, has the revision of its metric.
    """
    revisions = run.scored_as
    return revisions[metric if metric in revisions else metric.partition("[")[0]]


def _positions(
    store: Store, run: RunRow, axes: tuple[tuple[str, ...], ...], shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Return the positions of the run's cells in rising order, and the flat index of each cell in the score array.

    Raises:
        StoreError: The run's facts do not name a cell.
    """
    noises, methods, images = ({name: index for index, name in enumerate(axis)} for axis in axes)
    _, many_methods, many_images, seeds = shape
    rows = (
        (position, (noises[noise] * many_methods + methods[method]) * many_images + images[image], seed)
        for position, noise, method, image, seed in store.select(_PLACES, (run.id,))
    )
    try:
        found = np.fromiter(rows, dtype=[("position", "i8"), ("case", "i8"), ("seed", "i8")])
    except KeyError as error:
        raise StoreError(_STRANGER.format(store.path, run.name, f"{error.args[0]!r}", MORE)) from None
    if ((found["seed"] < 0) | (found["seed"] >= seeds)).any():
        raise StoreError(_STRANGER.format(store.path, run.name, "another seed", MORE))
    found.sort(order="position")
    return found["position"], found["case"] * seeds + found["seed"]


def _values(
    store: Store, run: RunRow, shape: tuple[int, ...], places: tuple[Array, Array], key: tuple[str, str, str]
) -> Array:
    positions, cells = places
    found = np.fromiter(store.select(_VALUES, (*key, run.id)), dtype=[("position", "i8"), ("value", "f8")])
    values = np.full(shape, np.nan)
    if positions.size:
        nearest = np.minimum(np.searchsorted(positions, found["position"]), positions.size - 1)
        known = positions[nearest] == found["position"]
        values.reshape(-1)[cells[nearest[known]]] = found["value"][known]
    return values

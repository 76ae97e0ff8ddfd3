"""Compare methods on the same noisy images, and compute intervals of means over images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mdnbench.analysis.regression import compatibility
from mdnbench.analysis.regression.baselines import facts_of
from mdnbench.analysis.statistics import bootstrap, paired
from mdnbench.analysis.statistics.findings import Comparison, Family, Mean
from mdnbench.errors import NothingToDo, UnknownName, UsageError
from mdnbench.results import tables
from mdnbench.store import score_array
from mdnbench.store.score_array import ScoreArray

if TYPE_CHECKING:
    from mdnbench.analysis.statistics.bootstrap import Array
    from mdnbench.results import Results
    from mdnbench.results.table import Column


def compare(found: Sequence[Results], *, metrics: Collection[str] = (), against: str = "") -> Comparison:
    """Compare the methods of one or several runs, pair by pair.

    Args:
        found: The results of the runs.
        metrics: The metrics to compare, or none for all that the runs have in common.
        against: If given, only pairs with this method are compared.

    Returns:
        A family of comparisons for each noise and metric that all runs have in common.

    Raises:
        UsageError: If the runs differ in protocol, data, noise or metric revision, or if one is given twice.
        UnknownName: If a run lacks one of `metrics`, or if no run has the method `against`.
        NothingToDo: If nothing can be compared.
    """
    first = found[0]
    for number, other in enumerate(found[1:], start=1):
        if any((each.store.path, each.name) == (other.store.path, other.name) for each in found[:number]):
            raise UsageError(f"run {other.name!r} was given twice; its methods differ from themselves in nothing.")
        compatibility.require(facts_of(other), facts_of(first), f"run {first.name!r}", noise_info=False)
    columns = _shared(found, metrics)
    whole = _joined([(each, score_array.read(each.store, each.run, columns)) for each in found])
    if against and against not in whole.methods:
        raise UnknownName("method in the run", against, whole.methods)
    families = tuple(
        family
        for index, noise in enumerate(whole.noises)
        for name, column in columns.items()
        if (family := _metric_comparison(noise, column, whole, whole.values[name][index], against)) is not None
    )
    if not families:
        if not whole.noises:
            under = "; ".join(f"{each.name}: {', '.join(each.run.facts.noises)}" for each in found)
            raise NothingToDo(f"nothing was compared: these runs have no noise in common ({under}).")
        raise NothingToDo("nothing was compared: no cell of these runs has a score.")
    if against and not any(family.pairs for family in families):
        raise NothingToDo(f"nothing was compared: {against} and the others have no score under the same noise.")
    facts = first.run.facts
    label = f"{facts.protocol} ({facts.protocol_hash})"
    return Comparison(tuple(each.name for each in found), facts.dataset, label, families)


def intervals(found: Results, metrics: Collection[str] = ()) -> dict[tuple[str, str, str], Mean]:
    """Return each mean of a run with its interval, by noise, method and metric.

    Args:
        found: The results of the run.
        metrics: The metrics, or none for all.

    Raises:
        UnknownName: If the run lacks one of `metrics`.
    """
    columns = _columns(found, metrics)
    scores = score_array.read(found.store, found.run, columns)
    return {
        (noise, mean.method, name): mean
        for index, noise in enumerate(scores.noises)
        for name in columns
        for mean in _means(scores.methods, scores.values[name][index])
    }


def _shared(found: Sequence[Results], metrics: Collection[str]) -> dict[str, Column]:
    """Return the metrics that all runs have, as columns of the first run; each run must have those in `metrics`."""
    first, *others = (_columns(each, metrics) for each in found)
    shared = {name: column for name, column in first.items() if all(name in other for other in others)}
    if not shared:
        raise NothingToDo("nothing was compared: there is no metric that these runs have in common.")
    return shared


def _columns(found: Results, metrics: Collection[str]) -> dict[str, Column]:
    known = {column.name: column for column in tables.columns_of(found.run) if not column.absent}
    for name in metrics:
        if name not in known:
            raise UnknownName(f"metric in run {found.name!r}", name, known)
    return {name: column for name, column in known.items() if not metrics or name in metrics}


def _joined(parts: Sequence[tuple[Results, ScoreArray]]) -> ScoreArray:
    """Join the scores of several runs: all methods, the noises that all runs have, and the smallest number of seeds."""
    score_arrays = [part for _, part in parts]
    if len(score_arrays) == 1:
        return score_arrays[0]
    noises = tuple(noise for noise in score_arrays[0].noises if all(noise in each.noises for each in score_arrays))
    seeds = min(each.seeds for each in score_arrays)
    values = {
        name: np.concatenate([_chosen(each, name, noises, seeds) for each in score_arrays], axis=1)
        for name in score_arrays[0].values
    }
    methods = tuple(f"{method} @ {run.name}" for run, each in parts for method in each.methods)
    return ScoreArray(noises, methods, score_arrays[0].images, seeds, values)


def _chosen(part: ScoreArray, metric: str, noises: Sequence[str], seeds: int) -> Array:
    return part.values[metric][[part.noises.index(noise) for noise in noises]][..., :seeds]


def _metric_comparison(noise: str, column: Column, scores: ScoreArray, values: Array, against: str) -> Family | None:
    """Compare all methods under one noise by one metric; None if no method has a score."""
    sign = 1 if column.direction == "higher" else -1
    found = list(_means(scores.methods, values))
    if not found:
        return None
    most = max(mean.cells + mean.infinite for mean in found)
    means = sorted(found, key=lambda mean: (not mean.covers(most), -sign * mean.mean))
    places = {method: index for index, method in enumerate(scores.methods)}
    order = [mean.method for mean in means]
    names = [pair for pair in itertools.combinations(order, 2) if not against or against in pair]
    differences = (_difference(values[places[first]], values[places[second]]) for first, second in names)
    pairs = [
        replace(pair, ties=pair.ties + _equal_infinities(values[places[pair.first]], values[places[pair.second]]))
        for pair in paired.compare(names, differences, sign, 0.5 * 10.0**-column.digits)
    ]
    images = int((~np.isnan(values)).any(axis=(0, 2)).sum())
    missing = tuple(method for method in scores.methods if method not in order)
    return Family(noise, column, images, scores.seeds, tuple(means), tuple(pairs), missing)


def _difference(first: Array, second: Array) -> Array:
    with np.errstate(invalid="ignore"):  # the difference of two infinite scores is NaN and enters no mean
        return np.subtract(first, second)


def _equal_infinities(first: Array, second: Array) -> int:
    """Return the number of cells with the same infinity in both, which are ties without a finite difference."""
    return int((np.isinf(first) & (first == second)).sum())


def _means(methods: Sequence[str], values: Array) -> Iterator[Mean]:
    """Yield the means of all methods that have a value; `values` is (methods, images, seeds)."""
    finite = np.isfinite(values)
    sums, counts = np.where(finite, values, 0).sum(axis=2), finite.sum(axis=2).astype(np.float64)
    lows, highs = bootstrap.intervals(sums, counts)
    for index, method in enumerate(methods):
        cells, infinite = int(counts[index].sum()), values[index][np.isinf(values[index])]
        if cells or len(infinite):
            low, high = (None if math.isnan(end) else float(end) for end in (lows[index], highs[index]))
            mean = float(sums[index].sum() / cells if cells else infinite[0])
            yield Mean(method, mean, low, high, int((counts[index] > 0).sum()), cells, len(infinite))

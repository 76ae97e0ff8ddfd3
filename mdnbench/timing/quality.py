"""Quality against time: PSNR in dB against milliseconds per megapixel, and published numbers for the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdnbench import registry
from mdnbench.evaluation import protocols
from mdnbench.planning.identity import CodeIdentity, MetricIdentity
from mdnbench.planning.openings import Openings
from mdnbench.results import references, tables
from mdnbench.results.references import MEAN
from mdnbench.results.table import Column, Table, words
from mdnbench.spec.timings import KnownQuality, PublishedLevel, TimingRecord
from mdnbench.timing import summary
from mdnbench.timing.record import usable_benchmarks

if TYPE_CHECKING:
    from mdnbench.planning import Plan, PlannedMethod
    from mdnbench.results import Results
    from mdnbench.store import Store

METRIC = "psnr"
COLUMNS = (words("Method"), Column("PSNR dB", digits=2), Column("ms/MP", figures=True), words("Standing"))
_SCORES = """
    SELECT s.value FROM outputs o JOIN scores s ON s.output = o.id
    WHERE o.key = ? AND o.status = 'ok' AND s.rule = ? AND s.metric = ? AND s.revision = ? AND s.status = 'ok'
"""


@dataclass(frozen=True, slots=True)
class Point:
    """A method's mean PSNR in dB and its milliseconds per megapixel; `front` if no other method is better in both."""

    method: str
    psnr: float
    ms_per_megapixel: float
    front: bool


@dataclass(frozen=True, slots=True)
class Pareto:
    """Quality against time, under one condition.

    Attributes:
        group: The condition under which the methods were timed.
        points: The methods, from fast to slow.
        published: The published levels, from low to high.

    """

    group: str
    points: tuple[Point, ...]
    published: tuple[PublishedLevel, ...]


def of_results(found: Results, noise: str) -> Pareto | None:
    """Return the quality of a run's methods under a noise against the times of its timing phase.

    Returns:
        The methods that have both; None if none has.

    """
    timed = found.timing
    if timed is None:
        return None
    values = {
        row.method: row.means[METRIC]
        for row in found.means
        if row.noise == noise and tables.covers(row, METRIC) and row.means.get(METRIC) is not None
    }
    return _pareto(timed, values, levels(found, noise))


def levels(found: Results, noise: str) -> list[PublishedLevel]:
    """Return the published levels for a run's data set under a noise.

    Methods need not be timed. If the run used only a part of the data set, there are no levels.
    """
    facts = found.run.facts
    lines = published(facts.dataset, noise, facts.protocol_hash)
    if not lines:
        return []
    spec = registry.load(found.plugins).datasets.get(facts.dataset)
    return lines if spec is not None and set(facts.images) == set(spec.images) else []


def of_record(record: TimingRecord) -> Pareto | None:
    """Return the quality against time of a record that includes the methods' quality; None if no method has both."""
    known = record.quality
    if not known:
        return None
    return _pareto(record, known.psnr, known.published)


def _stored(plan: Plan, works: Sequence[PlannedMethod], store: Store) -> dict[str, float]:
    """Return the mean PSNR in dB of every planned method whose cells are all in the store, by method.

    A method that has opened tested data has none, although the store may have cells from before.
    """
    if METRIC not in plan.registry.metrics:
        return {}
    means, identity, openings = {}, CodeIdentity(plan, store), Openings(plan, store)
    asked = (plan.protocol.scoring.digest, METRIC, MetricIdentity(plan.registry, [METRIC], store).scored_as[METRIC])
    for work in works:
        if openings.of(work):
            continue
        keys = [identity.keys(work, cell.output) for _, cell in plan.cells(work)]
        rows = [next(store.select(_SCORES, (each[0], *asked)), None) if each else None for each in keys]
        values = [row[0] for row in rows if row is not None and math.isfinite(row[0])]
        if values and len(values) == len(rows):
            means[work.named.text] = sum(values) / len(values)
    return means


def known(plan: Plan, works: Sequence[PlannedMethod], store: Store) -> KnownQuality:
    """Return the quality of these methods as far as it is in the store.

    Args:
        plan: The plan.
        works: The methods under the plan's first noise.
        store: The store.

    """
    noise, whole = works[0].noise.named.text, {each.id for each in plan.images} == set(plan.dataset.images)
    lines = published(plan.dataset.name, noise, plan.protocol.hash) if whole else []
    return KnownQuality(
        dataset=f"{plan.dataset.name} ({plan.dataset_digest})",
        images=len(plan.images),
        protocol=plan.protocol.label,
        psnr=_stored(plan, works, store),
        published=tuple(lines),
    )


def published(dataset: str, noise: str, protocol_hash: str) -> list[PublishedLevel]:
    """Return the published levels for a whole data set under a noise.

    Args:
        dataset: The data set's name.
        noise: The noise, as its canonical text.
        protocol_hash: The hash of the protocol. Under any other protocol than `standard` there are no levels.

    """
    if protocol_hash != protocols.load("standard").hash:
        return []
    return [
        PublishedLevel(each.method, each.value, each.source)
        for each in references.published()
        if (each.dataset, each.noise, each.image, each.metric) == (dataset, noise, MEAN, METRIC)
    ]


def table(found: Pareto, caption: str, notes: Sequence[str] = ()) -> Table:
    """Return a table of the methods with their times and of the published levels without times, best first."""
    rows: list[tuple[str, float, float | None, str]] = [
        (each.method, each.psnr, each.ms_per_megapixel, "none is better and faster" if each.front else "")
        for each in found.points
    ]
    rows += [(each.method, each.psnr, None, "published") for each in found.published]
    rows.sort(key=lambda row: -row[1])
    return Table.of(caption, COLUMNS, rows, notes)


def _pareto(record: TimingRecord, values: Mapping[str, Any], lines: Sequence[PublishedLevel]) -> Pareto | None:
    """Return the quality against time under the condition under which most methods were timed.

    If several conditions have equally many methods, the first is taken.
    """
    chosen: dict[str, dict[str, float]] = {group: {} for group in summary.groups(record)}
    for each in usable_benchmarks(record):
        if each.name in values and math.isfinite(values[each.name]):
            pace = 1000 / each.extra_info.megapixels_per_s
            chosen[each.group][each.name] = pace
    group = max(chosen, key=lambda name: len(chosen[name]), default="")
    if not group or not chosen[group]:
        return None
    pairs = {name: (values[name], pace) for name, pace in chosen[group].items()}
    best = front(pairs)
    points = [Point(name, psnr, pace, name in best) for name, (psnr, pace) in pairs.items()]
    points.sort(key=lambda point: point.ms_per_megapixel)
    return Pareto(group, tuple(points), tuple(sorted(lines, key=lambda line: line.psnr)))


def front(pairs: Mapping[str, tuple[float, float]]) -> set[str]:
    """Return the methods that no other method beats.

    One method beats another if it is at least as good and as fast, and better in one of the two.

    Args:
        pairs: Quality and time by method. A higher quality is better.

    """
    return {
        name
        for name, (good, time) in pairs.items()
        if not any(best >= good and least <= time and (best, least) != (good, time) for best, least in pairs.values())
    }

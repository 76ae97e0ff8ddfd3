"""Queries for the results of a run: its cells one by one, and its means, which SQLite computes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from sys import intern
from typing import Any

from mdnbench.errors import StoreError
from mdnbench.spec.records import MetricScore
from mdnbench.store.database import MORE, Store
from mdnbench.store.facts import Provenance
from mdnbench.store.rows import CellRow, CheckRow, MeanRow, RunRow

_CELLS = """
    SELECT c.position, c.dataset, c.image, c.noise, c.seed, c.method, o.status, o.reason, o.seconds, c.noise_info,
           c.image_digest, o.case_key, o.key, o.noisy_digest, o.output_digest, o.traceback, o.provenance, o.id
    FROM run_cells c JOIN outputs o ON o.id = c.output WHERE c.run = ? ORDER BY c.position
"""
_MARKS = """
    SELECT c.image, c.noise, c.seed, c.method, o.status, o.reason, o.noisy_digest{columns}
    FROM run_cells c JOIN outputs o ON o.id = c.output{joins} WHERE c.run = ? ORDER BY c.position
"""
_JOIN = """
    LEFT JOIN scores s{0} ON s{0}.output = o.id AND s{0}.rule = ? AND s{0}.metric = ? AND s{0}.revision = ?
"""
_SCORES = """
    SELECT c.position, s.metric, s.revision, s.status, s.value, s.reason
    FROM run_cells c JOIN scores s ON s.output = c.output WHERE c.run = ? AND s.rule = ? ORDER BY c.position
"""
_STATES = """
    SELECT c.noise, c.method, c.noise_info, o.status, count(*), avg(o.seconds), min(o.reason)
    FROM run_cells c JOIN outputs o ON o.id = c.output WHERE c.run = ?
    GROUP BY c.noise, c.method, c.noise_info, o.status ORDER BY min(c.position)
"""
_MEANS = """
    SELECT c.noise, c.method, c.noise_info, s.metric, s.revision,
           avg(CASE WHEN abs(s.value) < 9e999 THEN s.value END), count(s.value), sum(s.value >= 9e999),
           sum(s.value <= -9e999)
    FROM run_cells c JOIN outputs o ON o.id = c.output JOIN scores s ON s.output = o.id
    WHERE c.run = ? AND s.rule = ? AND o.status = 'ok' AND s.status = 'ok'
    GROUP BY c.noise, c.method, c.noise_info, s.metric, s.revision
"""
_UNEQUAL_CASE = """
    SELECT c.image, c.noise, c.seed, min(c.method), max(c.method)
    FROM run_cells c JOIN outputs o ON o.id = c.output
    WHERE c.run = ? AND o.status = 'ok' AND o.noisy_digest <> ''
    GROUP BY c.noise, c.image, c.seed HAVING min(o.noisy_digest) <> max(o.noisy_digest) LIMIT 1
"""
_PROVENANCES = """
    SELECT c.noise, c.method, o.provenance
    FROM run_cells c JOIN outputs o ON o.id = c.output WHERE c.run = ? AND o.status = 'ok'
    GROUP BY c.noise, c.method, o.provenance ORDER BY min(c.position)
"""
_UNSCORED = """
    SELECT c.noise, c.method, c.noise_info, s.metric, s.revision, count(*), min(s.reason), sum(s.status <> 'skipped')
    FROM run_cells c JOIN outputs o ON o.id = c.output JOIN scores s ON s.output = o.id
    WHERE c.run = ? AND s.rule = ? AND o.status = 'ok' AND s.status <> 'ok'
    GROUP BY c.noise, c.method, c.noise_info, s.metric, s.revision
"""

MeanKey = tuple[str, str, str]
MetricMean = tuple[float | None, int, int, int]  # a mean, the number of values, and how many are ∞ and −∞


def cells(store: Store, run: RunRow) -> Iterator[CellRow]:
    """Yield the cells of a run in their order. They are streamed, because a million cells would fill the memory."""
    store.require_run(run.id)
    provenances = _Provenances(store)
    asked = (run.id, run.facts.scoring_rule)
    scores = _grouped(store.select(_SCORES, asked), run.scored_as)
    position, found = next(scores, (-1, {}))
    for row in store.select(_CELLS, (run.id,)):
        while 0 <= position < row[0]:
            position, found = next(scores, (-1, {}))
        mine = found if position == row[0] else {}
        yield CellRow(*row[1:16], provenances[row[16]], mine)  # type: ignore[call-arg]


def check_rows(store: Store, run: RunRow, metrics: Sequence[str]) -> Iterator[CheckRow]:
    """Yield what a check needs of each cell, in their order.

    Each cell is one row with all its scores, and equal names share memory. This takes a third of the time of `cells`.

    Args:
        store: The store.
        run: The run.
        metrics: The metrics whose scores are read.
    """
    store.require_run(run.id)
    many, rule, revisions = len(metrics), run.facts.scoring_rule, run.scored_as
    columns = "".join(f", s{n}.{column}" for column in ("value", "status", "reason") for n in range(many))
    query = _MARKS.format(columns=columns, joins="".join(map(_JOIN.format, range(many))))
    values = [value for name in metrics for value in (rule, name, revisions.get(name))]
    for image, noise, seed, method, status, reason, noisy, *scores in store.select(query, [*values, run.id]):
        key = (intern(image), intern(noise), seed, intern(method))
        found = tuple(scores)
        yield CheckRow(key, status, reason, noisy, found[:many], found[many : 2 * many], found[2 * many :])


def require_one_image_per_case(store: Store, run: RunRow) -> None:
    """Raise StoreError if two methods of a run saw different noisy images of one case: no table may mix them."""
    found = next(store.select(_UNEQUAL_CASE, (run.id,)), None)
    if found:
        image, noise, seed, *methods = found
        raise StoreError(
            f"in run {run.name!r}, the methods {' and '.join(map(repr, methods))} saw different noisy images of one "
            f"case (image {image!r} under {noise}, seed {seed}), so their scores cannot be compared: a noise must draw "
            "all its random numbers from the generator that it is given. Correct the noise, then run with --fresh. "
            f"If the noise does so, the store is damaged: {MORE}"
        )


def means(store: Store, run: RunRow) -> list[MeanRow]:
    """Return one row for each noise, method and noise information, with the means over the cells that are ok.

    The rows also describe the other cells. Their totals include cells that are missing because the run was interrupted.
    """
    store.require_run(run.id)
    known, asked = run.scored_as, (run.id, run.facts.scoring_rule)
    scores: dict[MeanKey, dict[str, MetricMean]] = {}
    for noise, method, info, metric, revision, *found in store.select(_MEANS, asked):
        if known.get(metric) == revision:
            scores.setdefault((noise, method, info), {})[metric] = (found[0], found[1], found[2] or 0, found[3] or 0)
    unscored: dict[MeanKey, dict[str, tuple[int, str, int]]] = {}
    for noise, method, info, metric, revision, *lacking in store.select(_UNSCORED, asked):
        if known.get(metric) == revision:
            unscored.setdefault((noise, method, info), {})[metric] = (lacking[0], lacking[1], lacking[2])
    states: dict[MeanKey, dict[str, tuple[int, float | None, str]]] = {}
    for noise, method, info, status, count, seconds, reason in store.select(_STATES, (run.id,)):
        states.setdefault((noise, method, info), {})[status] = (count, seconds, reason)
    absent, many = run.facts.unavailable, len(run.facts.images) * run.facts.seeds
    return [
        _mean_row(group, state, scores.get(group, {}), unscored.get(group, {}), absent, many)
        for group, state in states.items()
    ]


def provenances(store: Store, run: RunRow) -> Iterator[tuple[str, str, Provenance]]:
    """Yield the noise, method and provenance of the cells that are ok, each combination once."""
    known = _Provenances(store)
    for noise, method, identity in store.select(_PROVENANCES, (run.id,)):
        yield noise, method, known[identity]


def _mean_row(
    group: MeanKey,
    state: dict[str, tuple[int, float | None, str]],
    scores: dict[str, MetricMean],
    unscored: dict[str, tuple[int, str, int]],
    absent: Collection[str],
    planned: int,
) -> MeanRow:
    ok, seconds, _ = state.get("ok", (0, None, ""))
    return MeanRow(
        *group,
        means={name: mean for name, (mean, *_) in scores.items()},
        counts={name: count for name, (_, count, *_) in scores.items()},
        infinite={name: above + below for name, (*_, above, below) in scores.items() if above or below},
        negative={name: below for name, (*_, below) in scores.items() if below},
        seconds=seconds,
        ok=ok,
        total=max(planned, sum(count for count, _, _ in state.values())),
        problems={status: count for status, (count, _, _) in state.items() if status != "ok"},
        reasons={status: reason for status, (_, _, reason) in state.items() if status != "ok"},
        unscored={name: (count, reason) for name, (count, reason, _) in unscored.items()},
        failed_scores=sum(failed for name, (_, _, failed) in unscored.items() if name not in absent),
    )


def _grouped(rows: Any, revisions: Mapping[str, str]) -> Iterator[tuple[int, dict[str, MetricScore]]]:
    current, found = -1, dict[str, MetricScore]()
    for position, metric, revision, status, value, reason in rows:
        if position != current:
            if current >= 0:
                yield current, found
            current, found = position, {}
        if revisions.get(metric) == revision:
            found[metric] = MetricScore(metric, status, value, reason)
    if current >= 0:
        yield current, found


class _Provenances(dict[int, Provenance]):
    """Provenances by id. Each is read only once, because thousands of cells share one."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def __missing__(self, key: int) -> Provenance:
        query = "SELECT content FROM provenances WHERE id = ?"
        (text,) = next(self._store.select(query, (key,)), ("",))
        self[key] = self._store.decoded(text, Provenance, f"provenance {key}")
        return self[key]

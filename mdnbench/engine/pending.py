"""The cells of a plan that are still to be computed: all cells, read lazily, without those that are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mdnbench.engine.tasks import Task
from mdnbench.planning import Plan, PlannedMethod
from mdnbench.planning.identity import CodeIdentity
from mdnbench.spec.records import Cell
from mdnbench.store import Store
from mdnbench.store.rows import StoredOutput
from mdnbench.store.stored_images import path_of
from mdnbench.util.chunks import chunks

StoredCells = Callable[[list[tuple[int, int, Cell]]], None]


def tasks(
    plan: Plan, work: PlannedMethod, store: Store, identity: CodeIdentity, needed: Mapping[str, str], found: StoredCells
) -> Iterator[Task]:
    """Yield the tasks that a work still needs.

    An output that lacks a score is only scored again if its image is stored. An output that is not ok is computed
    again. If the run is `fresh`, everything is computed again.

    Args:
        plan: The plan of the run.
        work: The method and noise.
        store: The store with earlier results.
        identity: The code that outputs are computed with.
        needed: The revision under which the scores of each metric are stored, by metric.
        found: Called with lists of (position, output id, cell) of the cells that are done.
    """
    rule = plan.protocol.scoring.digest
    for chunk in chunks(plan.cells(work)):
        known = {} if plan.request.fresh else answers(store, identity, work, [cell for _, cell in chunk], rule, needed)
        done = []
        for position, cell in chunk:
            row = known.get(cell.output)
            if row and row.scores == len(needed):
                done.append((position, row.id, cell))
            else:
                here = store.scored([row.id], rule, needed).get(row.id, set()) if row else set()
                missing = tuple(name for name in needed if name not in here)
                yield _task(plan, work, position, cell, row, missing, store.images)
        if done:
            found(done)


def answers(
    store: Store, identity: CodeIdentity, work: PlannedMethod, cells: list[Cell], rule: str, needed: Mapping[str, str]
) -> dict[str, StoredOutput]:
    """Return the stored outputs of these cells that are ok and belong to the current code, by base key.

    If there are several for a cell, return the one with the most scores.
    """
    keys = {key: cell.output for cell in cells for key in identity.keys(work, cell.output)}
    found: dict[str, StoredOutput] = {}
    for key, row in store.outputs(list(keys), rule, needed).items() if keys else ():
        best = found.get(keys[key])
        if row.status == "ok" and (best is None or row.scores > best.scores):
            found[keys[key]] = row
    return found


def _task(
    plan: Plan,
    work: PlannedMethod,
    position: int,
    cell: Cell,
    row: StoredOutput | None,
    metrics: tuple[str, ...],
    images: Path,
) -> Task:
    keep = {"all": True, "none": False}.get(plan.request.keep_images, cell.seed == 0)
    pixels = plan.pixels[cell.image]
    path = path_of(images, row.output_digest) if row else None
    kept = path if path and path.is_file() else None
    everything = metrics if kept else tuple(name for name in plan.metrics if name in metrics or row)
    return Task(position, cell, work.index, pixels, everything, keep, kept)

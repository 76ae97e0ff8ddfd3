"""The estimate of a plan: what is stored, what a run would compute, train and keep, and how long it would take."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mdnbench.engine import pending
from mdnbench.planning import Plan, Work, environment
from mdnbench.planning.identity import CodeIdentity
from mdnbench.spec.names import counted
from mdnbench.store import Store, open_store

CACHE = "PRAGMA cache_size = -65536"  # 64 MiB, because keys are hashes: each look-up reads another part of the file


def of_plan(plan: Plan, workspace: Path, unavailable: dict[str, str]) -> dict[str, Any]:
    """Return the estimate of a plan.

    Args:
        plan: The plan.
        workspace: The folder with the store.
        unavailable: The reasons why metrics cannot be computed, by their names.

    Returns:
        The numbers of cells by method and noise, stored and new, the trainings, the size of the stored images, and the
        estimated time of the run.
    """
    path = workspace / "results.sqlite"
    metrics = [name for name in plan.metrics if name not in unavailable]
    with open_store(path) if path.is_file() else nullcontext() as store:
        identity = CodeIdentity(plan, store)
        new = _new_cells(plan, store, identity, metrics) if store else {}
        changes = identity.changes() if store and not plan.request.fresh else []
        paces = _paces(store) if store else {}
    rows = [_row(plan, work, new.get(work.index, plan.cells_per_work), paces) for work in plan.works]
    known = [row["seconds"] for row in rows if row["seconds"] is not None]
    total = sum(known) / (plan.request.jobs or environment.cores())
    return {
        "run": plan.name,
        "data": f"{plan.dataset.name} ({plan.dataset_digest}), {counted(len(plan.images), 'image')}",
        "protocol": plan.protocol.label,
        "metrics": [*metrics, *(f"{name} (skipped: {why})" for name, why in unavailable.items())],
        "methods": rows,
        "cells": plan.size,
        "new_cells": sum(row["cells"] - row["stored"] for row in rows if not row["skip"]),
        "trainings": sorted({work.named.text for work in plan.works if work.training}),
        "kept_images": f"up to {_kept_bytes(plan) / 2**20:.0f} MiB in {workspace / 'images'}",
        "estimated_time": f"{total:.0f} s" + ("" if len(known) == len(rows) else ", and what has never been run here"),
        "notes": [*plan.notes, *map(str, changes)],
    }


def _new_cells(plan: Plan, store: Store, identity: CodeIdentity, metrics: list[str]) -> dict[int, int]:
    """Return how many cells of each work are not stored yet, by the work's index."""
    if plan.request.fresh:
        return {}
    store.connection.execute(CACHE)
    rule, needed = plan.protocol.scoring.digest, {name: identity.metrics.scored_as[name] for name in metrics}
    new = {}
    for noise in plan.noises:
        cases = plan.case_keys(noise)
        for work in (each for each in plan.works if each.noise is noise):
            known = sum(
                store.complete([identity.keys(work, plan.output_key(work, case)) for case in part], rule, needed)
                for part in pending.chunks(cases)
            )
            new[work.index] = len(cases) - known
    return new


def _row(plan: Plan, work: Work, new: int, paces: Mapping[str, float]) -> dict[str, Any]:
    cells = plan.cells_per_work
    weights = work.weights.name if work.weights else "to be trained" if work.training else "–"
    return {
        "method": work.named.text,
        "noise": work.noise.named.text,
        "cells": cells,
        "stored": 0 if work.skip else cells - new,
        "weights": f"skipped: {work.skip}" if work.skip else weights,
        "seconds": _seconds(work, new, paces),
        "skip": work.skip,
        "note": work.note,
    }


def _paces(store: Store) -> dict[str, float]:
    """Return the mean time in seconds of a stored cell, by method."""
    query = "SELECT method, avg(seconds) FROM outputs WHERE status = 'ok' AND seconds IS NOT NULL GROUP BY method"
    return dict(store.select(query))


def _seconds(work: Work, new: int, paces: Mapping[str, float]) -> float | None:
    """Return the expected seconds for the new cells, from earlier cells of the method; None if there are none."""
    if work.skip or not new:
        return 0.0
    pace = paces.get(work.named.text)
    return None if pace is None else pace * new


def _kept_bytes(plan: Plan) -> int:
    kept = {"none": 0, "first-seed": 1, "all": plan.request.seeds}[plan.request.keep_images]
    values = sum(image.pixels * (3 if len(image.shape) == 3 else 1) for image in plan.images)
    return 4 * values * kept * len(plan.works)

"""Strangers: cells of a run that its facts do not name. Older versions let two processes of one name leave them."""

from __future__ import annotations

import json
from typing import Any

from mdnbench.store.facts import RunFacts

LARGEST = 2**63 - 1  # whole number that SQLite takes
_STRANGERS = """
    FROM run_cells WHERE run = ? AND (
        position < 0 OR position >= ? OR seed < 0 OR seed >= ?
        OR image_digest || image NOT IN (SELECT value FROM json_each(?))
        OR noise NOT IN (SELECT value FROM json_each(?))
        OR method NOT IN (SELECT value FROM json_each(?)))
"""
COUNT = f"SELECT count(*) {_STRANGERS}"
REMOVE = f"DELETE {_STRANGERS}"


def values(run: int, planned: int, facts: RunFacts) -> tuple[Any, ...]:
    """The values of the queries' marks for a run."""
    images = [digest + image for image, digest in facts.images.items()]
    names = (images, [*facts.noises], [*facts.methods])
    return run, planned, min(facts.seeds, LARGEST), *map(json.dumps, names)

"""Cells of a run that its facts do not name. Older versions could leave them when two processes used one name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

LARGEST = 2**63 - 1  # the largest integer of SQLite
_STRANGERS = """
    FROM run_cells WHERE run = ? AND (
        position < 0 OR position >= ? OR seed < 0 OR seed >= ?
        OR image_digest || image NOT IN (SELECT value FROM json_each(?))
        OR noise NOT IN (SELECT value FROM json_each(?))
        OR method NOT IN (SELECT value FROM json_each(?)))
"""
COUNT = f"SELECT count(*) {_STRANGERS}"
REMOVE = f"DELETE {_STRANGERS}"


def values(run: int, planned: int, facts: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values of the queries' parameters for a run."""
    images = [digest + image for image, digest in facts.get("images", {}).items()]
    names = (images, [*facts.get("noises", ())], [*facts.get("methods", ())])
    return run, planned, min(facts.get("seeds", 0), LARGEST), *map(json.dumps, names)

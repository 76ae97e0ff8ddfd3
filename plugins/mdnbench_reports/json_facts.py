"""Write `run.json`: what the run's request was, what it used, and the machine on which it ran."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.results import run_location
from mdnbench.util import codec, jsonfile

if TYPE_CHECKING:
    from mdnbench.results import Results


def write(results: Results, folder: Path) -> Path:
    """Write `run.json` and return its path."""
    path = folder / "run.json"
    jsonfile.write(path, content(results, folder))
    return path


def content(results: Results, folder: Path) -> dict[str, Any]:
    """Return the facts and the means of a run, as they are written; infinite means are null and are flagged."""
    run = results.run
    return {
        "name": run.name,
        "store": run_location.relative(results.store.path, folder),
        "created": run.created,
        "finished": run.finished,
        "planned": run.planned,
        "counts": dict(results.counts),
        **codec.to_plain(run.facts),
        "means": [
            {
                "noise": row.noise,
                "method": row.method,
                "noise_info": row.noise_info,
                **dict(row.means),
                "infinite": dict(row.infinite),
                "negative": dict(row.negative),  # how many of the infinite values are negative
                "seconds": row.seconds,
                "ok": row.ok,
                "total": row.total,
            }
            for row in results.means
        ],
    }

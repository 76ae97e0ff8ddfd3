"""Wrong: it writes where it happens to be, and not where it was told to."""

from __future__ import annotations

from pathlib import Path

from mdnbench import ReporterSpec, hookimpl


def write(results, folder):
    """The number of cells, in the working directory."""
    path = Path("count.txt").resolve()
    path.write_text(str(sum(1 for _ in results.rows())), encoding="utf-8")
    return path


@hookimpl
def mdnbench_reporters():
    """One reporter."""
    return [ReporterSpec("reporter-writes", "wrong", write)]

"""Write `figures/`: every chart of a run as SVG, PDF and PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.util import atomic, drawing
from mdnbench.util.digests import of_parts
from mdnbench_reports import charts, scores

if TYPE_CHECKING:
    from mdnbench.results import Results

PIXELS_PER_INCH = 220  # of PNG files


def write(results: Results, folder: Path) -> Path:
    """Write every chart into the folder `figures` and return its path."""
    target = atomic.subfolder(folder, "figures")
    written: set[str] = set()
    for chart in charts.of_run(results, scores.of(results)):
        name = chart.name if chart.name not in written else f"{chart.name}-{of_parts(chart.title)[:8]}"
        written.add(name)
        for kind in drawing.KINDS:
            atomic.write_bytes(target / f"{name}.{kind}", drawing.draw(chart.titled, kind, PIXELS_PER_INCH))
    return target

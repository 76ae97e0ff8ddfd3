"""Data sets: the usual test sets, one training set, and twelve images that need no download."""

from __future__ import annotations

from mdnbench import DatasetSpec, hookimpl
from mdnbench_datasets.manifest import read_all


@hookimpl
def mdnbench_datasets() -> list[DatasetSpec]:
    """Return one data set for each manifest."""
    return read_all()

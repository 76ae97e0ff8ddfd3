"""Fetch and verify data sets, and find leaks between a training set and a test set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import data, planning, registry
from mdnbench.api import notebook
from mdnbench.data import leaks
from mdnbench.errors import DataMissing
from mdnbench.util import atomic
from mdnbench.util.listener import Listener
from mdnbench.util.slugs import slug

if TYPE_CHECKING:
    from mdnbench.data.leaks import Leak
    from mdnbench.spec.specs import MetricSpec


def fetch_data(name: str, *, listener: Listener | None = None) -> int:
    """Download the missing files of a data set, or those that a metric and its settings need.

    Args:
        name: The name of a data set or of a metric.
        listener: It receives the progress.

    Returns:
        The number of downloads.

    Raises:
        UnknownName: If there is no such data set or metric.
        DataMissing: If something cannot be downloaded.
    """
    known, heard = registry.load(), listener or notebook.listener()
    if name in known.metrics:
        return _fetch_for_metric(known.metrics[name])
    spec = known.datasets[name]
    heard.begin(f"fetching {name}", len(spec.files))
    fetched = data.fetch(spec, lambda done, total: heard.progress(f"fetching {name}", done))
    heard.end(f"fetching {name}")
    return fetched


def _fetch_for_metric(spec: MetricSpec) -> int:
    """Download what a metric and its settings need, and return the number of downloads."""
    needs = [prepare for prepare in (spec.prepare, *(each.prepare for each in spec.settings)) if prepare]
    lacking = [prepare for prepare in needs if prepare(False)]
    for prepare in lacking:
        if reason := prepare(True):
            raise DataMissing(reason)
    return len(lacking)


def verify_data(name: str) -> list[str]:
    """Return a line for each file of a data set that is missing or altered.

    Raises:
        UnknownName: If there is no such data set.
    """
    return data.verify(registry.load().datasets[name])


def find_leaks(
    train_set: str, test_set: str, *, pictures: Path | None = None, listener: Listener | None = None
) -> tuple[Leak, ...]:
    """Find the images of a training set that overlap images of a test set.

    The result is stored under MDNBENCH_HOME, so a second call for the same images is fast.

    Args:
        train_set: A data set or a folder of images.
        test_set: A data set or a folder of images.
        pictures: A folder for a picture of each pair; by default no pictures are made.
        listener: It receives the progress.

    Returns:
        The pairs of images that overlap.
    """
    if pictures is not None:
        atomic.ready(pictures)
    known = registry.load()
    material, test = planning.find_dataset(train_set, known), planning.find_dataset(test_set, known)
    found = leaks.cached_leaks(material, test, progress=_pair_progress(listener or notebook.listener()))
    if pictures is not None:
        with atomic.below(pictures):
            for leak in found:
                name = slug(f"{leak.train_id}-{leak.test_id}")
                leaks.picture_of(leak, material, test, pictures / f"{name}.png")
    return found


def _pair_progress(listener: Listener) -> Callable[[int, int], None]:
    """Return a function that reports the compared training images to a listener, unless the result is stored."""
    phase = "training images"

    def tell(done: int, total: int) -> None:
        if done == 1:
            listener.begin(phase, total)
        listener.progress(phase, done)
        if done == total:
            listener.end(phase)

    return tell

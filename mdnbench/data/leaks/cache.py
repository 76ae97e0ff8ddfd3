"""Store what a search found, and the key points of images. Both are valid while pixels and search are the same."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdnbench.data.leaks.keypoints import Description, describe
from mdnbench.data.leaks.leak import Leak
from mdnbench.data.leaks.search import find_leaks
from mdnbench.errors import BadFile, StoreError
from mdnbench.util import atomic, digests, jsonfile, paths

if TYPE_CHECKING:
    from mdnbench.spec.specs import DatasetSpec, Image

# Increase it whenever the search may find other leaks than before; stored results with another revision are ignored.
REVISION = "2"
# The leaks of the project's own data sets, in files like the stored ones, named after the two sets.
SHIPPED = Path(__file__).parent / "known"
_FIELDS = tuple(field.name for field in fields(Description))


@dataclass(frozen=True, slots=True)
class KnownLeaks:
    """A file of leaks: the digest of both data sets and of the guard's revision, and what was found."""

    key: str
    revision: str
    train: str
    test: str
    leaks: tuple[Leak, ...]


def cached_leaks(
    train: DatasetSpec,
    test: DatasetSpec,
    *,
    jobs: int = 2,
    progress: Callable[[int, int], None] | None = None,
    train_digests: list[list[str]] | None = None,
) -> tuple[Leak, ...]:
    """Return the result of `find_leaks`, read from a file if it is known already.

    The files are part of mdnbench, or in MDNBENCH_HOME/leaks/. The key of a result is a digest of all pixels and ids of
    both sets and of the search's revision. If a file cannot be read, the leaks are searched again. A search stores the
    key points of every image in MDNBENCH_HOME/keypoints/, for the next search with other images.

    Args:
        train: The training set.
        test: The test set.
        jobs: The number of threads.
        progress: `progress(done, total)` is called after each training image that is searched.
        train_digests: The `pixel_digests` of the training set, if they are known already.

    Raises:
        StoreError: The result or the key points cannot be written.

    """
    key = digests.of_parts(REVISION, train_digests or pixel_digests(train, jobs), pixel_digests(test, jobs))
    path = paths.home() / "leaks" / f"{key}.json"
    known = _read(SHIPPED / f"{train.name}-{test.name}.json", key)
    if known is None:
        known = _read(path, key)
    if known is None:
        known = find_leaks(train, test, jobs=jobs, progress=progress, describe=cached_description)
        _write(path, KnownLeaks(key, REVISION, train.name, test.name, known))
    return known


def pixel_digests(dataset: DatasetSpec, jobs: int = 2) -> list[list[str]]:
    """Return the ids of a data set, each with the digest of its pixels."""
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        found = pool.map(lambda name: [name, digests.of_pixels(dataset.load(name))], dataset.images)
        return list(found)


def _read(path: Path, key: str) -> tuple[Leak, ...] | None:
    """Return the leaks in a file; None if there is no file, if it is damaged, or if its key differs."""
    try:
        content = jsonfile.read(path, "file of leaks", KnownLeaks)
    except BadFile:
        return None
    return content.leaks if content.key == key else None


def cached_description(image: Image) -> Description:
    """Return the result of `keypoints.describe`, read from a file if it is known already.

    Args:
        image: A gray image, (H, W).

    Raises:
        StoreError: The result cannot be written.

    """
    path = paths.home() / "keypoints" / f"{digests.of_parts(REVISION, digests.of_pixels(image))}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return Description(**{name: file[name] for name in _FIELDS})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # there is none, or it is damaged
        description = describe(image)
    buffer = io.BytesIO()
    np.savez(buffer, **{name: getattr(description, name) for name in _FIELDS})
    with _writing(path.parent):
        atomic.write_bytes(path, buffer.getvalue())
    return description


def _write(path: Path, content: KnownLeaks) -> None:
    """Write the file atomically, because another process may read or write the same one."""
    with _writing(path.parent):
        jsonfile.write(path, content)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raise StoreError if the block cannot write into a folder."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"what leaks from a training set cannot be remembered in {folder}: {error.strerror}. "
            "Make room or point MDNBENCH_HOME at a folder that can be written."
        ) from None

"""Store the leaks between two data sets; they stay valid while the pixels and the search are the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.data.leaks.leak import Leak
from mdnbench.data.leaks.search import find_leaks
from mdnbench.errors import BadFile, StoreError
from mdnbench.util import digests, jsonfile, paths

if TYPE_CHECKING:
    from mdnbench.spec.specs import DatasetSpec

# Increase it whenever the search may find other leaks than before; stored results with another revision are ignored.
REVISION = "1"
# The leaks of the project's own data sets, in files like the stored ones, named after the two sets.
SHIPPED = Path(__file__).parent / "known"


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
) -> tuple[Leak, ...]:
    """Return the result of `find_leaks`, read from a file if it is known already.

    The files are part of mdnbench, or in MDNBENCH_HOME/leaks/. The key of a result is a digest of all pixels and ids of
    both sets and of the search's revision. If a file cannot be read, the leaks are searched again.

    Args:
        train: The training set.
        test: The test set.
        jobs: The number of threads.
        progress: `progress(done, total)` is called after each training image that is searched.

    Raises:
        StoreError: The result cannot be written.

    """
    key = digests.of_parts(REVISION, _identity(train, jobs), _identity(test, jobs))
    path = paths.home() / "leaks" / f"{key}.json"
    known = _read(SHIPPED / f"{train.name}-{test.name}.json", key)
    if known is None:
        known = _read(path, key)
    if known is None:
        known = find_leaks(train, test, jobs=jobs, progress=progress)
        _write(path, KnownLeaks(key, REVISION, train.name, test.name, known))
    return known


def _identity(dataset: DatasetSpec, jobs: int) -> list[list[str]]:
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


def _write(path: Path, content: KnownLeaks) -> None:
    """Write the file atomically, because another process may read or write the same one."""
    try:
        jsonfile.write(path, content)
    except OSError as error:
        raise StoreError(
            f"what leaks from a training set cannot be remembered in {path.parent}: {error.strerror}. "
            "Make room or point MDNBENCH_HOME at a folder that can be written."
        ) from None

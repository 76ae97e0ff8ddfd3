"""What was found between two data sets, remembered for as long as their pixels and the guard stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.data.leaks.finding import find_leaks
from mdnbench.data.leaks.leak import Leak
from mdnbench.errors import BadFile, StoreError
from mdnbench.util import digests, jsonfile, paths

if TYPE_CHECKING:
    from mdnbench.spec.specs import DatasetSpec

# Counts up whenever the guard may find something else than before; whatever was remembered until then is found anew.
REVISION = "1"
# What was found for the project's own data sets, in files like the remembered ones, named by the two sets.
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
    """What `find_leaks` finds, read where it is known already: from mdnbench's own files, or MDNBENCH_HOME/leaks/.

    What is known has as its key a digest of all pixels and ids of both sets and of the guard's revision. A file that
    cannot be understood is found anew; StoreError where none can be written.
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
    """The ids of a data set, each with the digest of its pixels."""
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        found = pool.map(lambda name: [name, digests.of_pixels(dataset.load(name))], dataset.images)
        return list(found)


def _read(path: Path, key: str) -> tuple[Leak, ...] | None:
    """The leaks in a file; None where there is no file, a damaged one, or one with another key."""
    try:
        content = jsonfile.read(path, "file of leaks", KnownLeaks)
    except BadFile:
        return None
    return content.leaks if content.key == key else None


def _write(path: Path, content: KnownLeaks) -> None:
    """Write the file whole or not at all: another process may be reading or writing the same one."""
    try:
        jsonfile.write(path, content)
    except OSError as error:
        raise StoreError(
            f"what leaks from a training set cannot be remembered in {path.parent}: {error.strerror}. "
            "Make room or point MDNBENCH_HOME at a folder that can be written."
        ) from None

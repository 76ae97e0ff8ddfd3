"""Find the files of data sets and metrics, and download missing ones.

A file is searched as FOLDER/datasets/NAME/FILE in each folder of MDNBENCH_DATA_PATH, then under MDNBENCH_HOME. If it is
in neither place, it is downloaded to MDNBENCH_HOME. It is used only if its SHA-256 is the pinned one. The
folders of the data path are never written.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from urllib.parse import urlsplit

from mdnbench.data import download, gray
from mdnbench.errors import BadFile, DataMissing, MdnbenchError
from mdnbench.spec.specs import DataFile, DatasetSpec
from mdnbench.util import digests, paths, temporary
from mdnbench.util.limits import MAX_DOWNLOAD_BYTES, PARALLEL_DOWNLOADS, RETRY_HOST_AFTER_S

_digests: dict[tuple[str, int, int], str] = {}  # (path, bytes, mtime_ns) -> SHA-256, for this process
_noted: ContextVar[dict[str, Path] | None] = ContextVar("_noted", default=None)
# host -> (when, why): after one failed connection, no file of the host is tried
_unreachable: dict[str, tuple[float, str]] = {}


def locate(folder: str, file: DataFile, download: bool = True) -> Path:
    """Return the path of a file after a check of its SHA-256.

    Args:
        folder: The folder below a data folder, for example `datasets/set12` or `weights/lpips`.
        file: The file.
        download: Whether a missing file is downloaded from its pinned addresses.

    Raises:
        DataMissing: The file is missing or is not the expected one. The message lists the searched places and explains
            how to get the file.
        BadFile: The name of the file or its SHA-256 is not valid.

    """
    found = find(folder, file)
    if found is None:
        found = _download(folder, file, download)
    path = _verified(found, folder, file)
    if (noted := _noted.get()) is not None:
        noted[f"{folder}/{file.name}"] = path
    return path


@contextlib.contextmanager
def noting() -> Iterator[dict[str, Path]]:
    """Record which files are located in the `with` block.

    Yields:
        The paths by FOLDER/FILE, which is the relative path at which another machine needs them.

    """
    noted: dict[str, Path] = {}
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def find(folder: str, file: DataFile) -> Path | None:
    """Return the path of a file on this machine, found by name alone; None if there is none."""
    _check_names(folder, file)
    candidates = (root / folder / file.name for root in _roots())
    # os.path.isfile, unlike Path.is_file, returns False if the folder may not be read.
    return next((path for path in candidates if os.path.isfile(path)), None)  # noqa: PTH113


def fetch(spec: DatasetSpec, progress: Callable[[int, int], None] | None = None) -> int:
    """Make all files of a data set available.

    Args:
        spec: The data set.
        progress: `progress(done, total)` is called after each download.

    Returns:
        The number of downloaded files.

    Raises:
        DataMissing: A file is not available; the files that were downloaded before stay.

    """
    from concurrent.futures import ThreadPoolExecutor

    folder = folder_of(spec)
    absent = [file for file in spec.files if find(folder, file) is None]
    for file in spec.files:
        if file not in absent:
            locate(folder, file, download=False)
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        for done, _ in enumerate(pool.map(lambda file: locate(folder, file), absent), start=1):
            if progress:
                progress(done, len(absent))
    return len(absent)


def at_hand(spec: DatasetSpec) -> bool:
    """Return whether every file of a data set is on this machine.

    Only names and sizes are checked, which is fast enough for a list of all data sets.
    """
    return all(_has_size(find(folder_of(spec), file), file) for file in spec.files)


def verify(spec: DatasetSpec) -> list[str]:
    """Return the problems of a data set's files, one line each; every file is read again and nothing is downloaded."""
    problems = []
    _digests.clear()
    for file in spec.files:
        try:
            locate(folder_of(spec), file, download=False)
        except (DataMissing, BadFile) as error:
            problems.append(str(error))
    return problems


def files_of(spec: DatasetSpec) -> tuple[Path, ...]:
    """Return the files of a data set that are on this machine, found by name alone."""
    folder = folder_of(spec)
    return tuple(filter(None, (find(folder, file) for file in spec.files)))


def folder_of(spec: DatasetSpec) -> str:
    """Return the folder of a data set's files below a data folder; a data set in gray has that of the colour one."""
    return f"datasets/{gray.split(spec.name)[0]}"


def _check_names(folder: str, file: DataFile) -> None:
    """Refuse file names that could leave their folder, and files without a valid SHA-256."""
    for part in (*folder.split("/"), file.name):
        plain = part.isprintable() and not set(part) & set("/\\:") and part not in ("", ".", "..")
        if not plain or len(os.fsencode(part)) > 255:
            raise BadFile(
                f"the data file name {f'{folder}/{file.name}'!r} is refused: each part must be one plain name, "
                "without '..', drive letters, or leading slashes."
            )
    if not re.fullmatch("[0-9a-f]{64}", file.sha256):
        raise BadFile(f"the data file {folder}/{file.name} has no SHA-256 of 64 lower-case hexadecimal digits.")


def _roots() -> list[Path]:
    return [*paths.data_folders(), paths.home()]


def _has_size(path: Path | None, file: DataFile) -> bool:
    return path is not None and (not file.bytes or path.stat().st_size == file.bytes)


def _verified(path: Path, folder: str, file: DataFile) -> Path:
    try:
        actual = _digest(path)
    except OSError as error:
        raise DataMissing(f"{path} cannot be read: {error.strerror}.") from None
    if actual == file.sha256:
        return path
    raise DataMissing(
        f"{path} is not the expected file: its SHA-256 is {actual}, expected is {file.sha256}. Delete or replace it; "
        f"{_how_to_fetch(folder)}."
    )


def _digest(path: Path) -> str:
    state = path.stat()
    key = (str(path), state.st_size, state.st_mtime_ns)
    if key not in _digests:
        _digests[key] = digests.of_file(path)
    return _digests[key]


def _download(folder: str, file: DataFile, allowed: bool) -> Path:
    """Download to MDNBENCH_HOME from the first address that provides the expected file."""
    if not file.urls:
        raise DataMissing(_missing(folder, file, "it has no address to download it from"))
    if paths.offline():
        raise DataMissing(_missing(folder, file, "MDNBENCH_OFFLINE is set"))
    if not allowed:
        raise DataMissing(_missing(folder, file, "it was not downloaded yet"))
    target, failures = paths.home() / folder / file.name, []
    for url in file.urls:
        failure = _try(url, target, file)
        if failure is None:
            return target
        failures.append(failure)
    raise DataMissing(_missing(folder, file, "; ".join(failures)))


def _try(url: str, target: Path, file: DataFile) -> str | None:
    """Download one address to a temporary file, verify it and move it into place; return an error message or None."""
    host = urlsplit(url).netloc
    failed_at, why = _unreachable.get(host, (-RETRY_HOST_AFTER_S, ""))
    if time.monotonic() - failed_at < RETRY_HOST_AFTER_S:
        return why
    part = temporary.part_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return _transfer(url, part, file.bytes or MAX_DOWNLOAD_BYTES) or _accept(url, part, target, file)
    except OSError as error:
        advice = "set MDNBENCH_HOME to a folder that can be written"
        raise MdnbenchError(f"cannot write {target.parent}: {error.strerror or error}; {advice}.") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _accept(url: str, part: Path, target: Path, file: DataFile) -> str | None:
    """Move a download into place if it is the expected file; otherwise return an error message."""
    actual = digests.of_file(part)
    if actual != file.sha256:
        size = part.stat().st_size
        return f"{url} gave {size} bytes with SHA-256 {actual}, expected is {file.sha256}; they were discarded"
    part.replace(target)
    return None


def _transfer(url: str, part: Path, most: int) -> str | None:
    """Stream at most `most` bytes of one address into a file; return an error message if that fails."""
    try:
        download.to_file(url, part, most)
    except download.UnreachableError as error:
        _unreachable[urlsplit(url).netloc] = (time.monotonic(), str(error))
        return str(error)
    except download.DownloadError as error:
        return str(error)
    return None


def _missing(folder: str, file: DataFile, why: str) -> str:
    looked = ", ".join(str(root / folder) for root in _roots())
    return (
        f"{folder}/{file.name} is missing: {why}. Looked in {looked}. Put it at {folder}/{file.name} below a folder "
        f"that MDNBENCH_DATA_PATH names; {_how_to_fetch(folder)}."
    )


def _how_to_fetch(folder: str) -> str:
    return f"or run `mdnbench data fetch {folder.rpartition('/')[2]}` with a network"

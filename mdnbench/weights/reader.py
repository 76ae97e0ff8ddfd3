"""The reading of weights files of unknown origin: tensors, numbers and texts, but never code.

The format of a file, its size in memory and the names in its pickle are checked before torch reads it.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file

from mdnbench.errors import WeightsError
from mdnbench.spec.names import printable
from mdnbench.util import limits
from mdnbench.util.silenced import without_warnings
from mdnbench.weights import formats, pickles
from mdnbench.weights.formats import Format, OtherFile

_NOT_FILES = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a FIFO (a named pipe), not a file"),
    (stat.S_ISCHR, "it is a device, not a file"),
    (stat.S_ISBLK, "it is a device, not a file"),
    (stat.S_ISSOCK, "it is a socket, not a file"),
)
_BROKEN_ARCHIVE = (
    zipfile.BadZipFile, zlib.error, struct.error, ValueError, EOFError, OSError, RuntimeError, IndexError,
)  # fmt: skip
_SAVE_THE_STATE = "torch.save(network.state_dict(), FILE)"
_loading = threading.Lock()  # torch has one list of safe names for all threads


class Content(NamedTuple):
    """The content of a weights file: its format, its size in bytes, and the objects in it, which are not checked."""

    format: str
    bytes: int
    objects: Any


class NumpyValue:
    """A placeholder for a NumPy number, array or type in a file. It keeps nothing of the content."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read(path: Path) -> Content:
    """Read a weights file. Nothing in the file is run.

    Raises:
        WeightsError: The file is missing, is not a plain file, has another format, is larger than `limits` allow, is
            damaged, or contains more than data. The message has one line.
    """
    size = check_plain(path)
    with path.open("rb") as file:
        head = file.read(limits.WEIGHTS_HEAD_BYTES)
    found = formats.of(head, size, path.suffix.lower())
    if found is Format.ARCHIVE:
        found = _check_archive(path, size)
    elif found in (Format.LEGACY, Format.PICKLE):
        _check_pickles(path, found is Format.LEGACY)
    if isinstance(found, OtherFile):
        raise refusal(path, f"holds no weights that can be read: it is {found.what}. To do: {found.advice}.")
    return Content(found.value, size, _load(path, found, head))


def check_plain(path: Path) -> int:
    """Return the size of a plain file in bytes.

    Raises:
        WeightsError: The file is missing, unreadable or too large, or is not a plain file.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 (Path.stat() has another error for a path with a zero byte)
    except FileNotFoundError:
        raise WeightsError(f"there is no weights file {path}.") from None
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise refusal(path, f"cannot be read: {error}.") from None
    for is_that, words in _NOT_FILES:
        if is_that(status.st_mode):
            raise refusal(path, f"cannot be read: {words}.")
    if status.st_size > limits.MAX_WEIGHTS_BYTES:
        raise refusal(
            path,
            f"has {status.st_size} bytes; {limits.MAX_WEIGHTS_BYTES} are allowed. Give the state of the network alone.",
        )
    if not os.access(path, os.R_OK):
        raise refusal(path, "cannot be read: Permission denied.")
    return status.st_size


def refusal(path: Path, reason: str) -> WeightsError:
    """Return the error that reports why a weights file cannot be used, in one line."""
    return WeightsError(printable(f"the weights file {path} {reason}"))


def most_bytes(size: int) -> int:
    """Return how many bytes of memory a file of `size` bytes may take."""
    return limits.MAX_WEIGHTS_GROWTH * size + limits.WEIGHTS_ALLOWANCE_BYTES


# -- before torch reads it -----------------------------------------------------------------------------------------


def _check_archive(path: Path, size: int) -> Format | OtherFile:
    """Return the format of a ZIP archive, judged by its members, and check the pickle if torch wrote it."""
    with path.open("rb") as file:
        if _members(file, size) > limits.MAX_WEIGHTS_RECORDS:
            raise refusal(path, f"has more than {limits.MAX_WEIGHTS_RECORDS} members; no network has as many tensors.")
        try:
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
                found = formats.of_archive(names)
                if found is not Format.ARCHIVE:
                    return found
                _check_members(path, archive, size)
                (pickle,) = [each for each in archive.infolist() if each.filename.endswith("data.pkl")]
                content = archive.read(pickle)
        except _BROKEN_ARCHIVE:
            raise _damaged(path) from None
    _refuse_names(path, _names(path, io.BytesIO(content), 1))
    return found


def _members(file: io.BufferedReader, size: int) -> int:
    """Return how many members a ZIP archive can have at most, by the length of its list, with 46 bytes or more each."""
    file.seek(max(0, size - 65_557))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 20:
        return 0
    (length,) = struct.unpack("<L", tail[end + 12 : end + 16])
    if length == 0xFFFFFFFF:  # ZIP64 stores the length elsewhere
        wide = tail.rfind(b"PK\x06\x06")
        length = struct.unpack("<Q", tail[wide + 40 : wide + 48])[0] if 0 <= wide <= len(tail) - 48 else size
    return int(min(length, size)) // 46


def _check_members(path: Path, archive: zipfile.ZipFile, size: int) -> None:
    """Refuse an archive that unpacks to far more than its size, or that has two members of one name."""
    members = archive.infolist()
    total = sum(each.file_size for each in members)
    if total > most_bytes(size):
        raise refusal(
            path, f"has {size} bytes and would unpack to {total}: that is a ZIP bomb, or damage; nothing was unpacked."
        )
    names = archive.namelist()
    pickled = [each for each in members if each.filename.endswith("data.pkl")]
    if len(set(names)) < len(names) or len(pickled) != 1:
        raise refusal(path, "is damaged: it holds members of one name twice.")
    if pickled[0].file_size > limits.MAX_PICKLE_BYTES:
        raise refusal(
            path, f"names its tensors in {pickled[0].file_size} bytes; {limits.MAX_PICKLE_BYTES} are allowed."
        )


def _check_pickles(path: Path, legacy: bool) -> None:
    """Check the pickles at the start of a file: five in the format of torch before 1.6, otherwise one."""
    with path.open("rb") as file:
        content = io.BytesIO(file.read(limits.MAX_PICKLE_BYTES))
    _refuse_names(path, _names(path, content, 5 if legacy else 1))
    if not legacy:
        raise refusal(
            path, "is a plain Python pickle, which torch.save did not write; nothing in it was run. To do, where it "
            f"was made: {_SAVE_THE_STATE}.",
        )  # fmt: skip


def _names(path: Path, content: io.BytesIO, count: int) -> list[str]:
    """Return the names in the pickles that are not data."""
    found: set[str] = set()
    try:
        for _ in range(count):
            found.update(pickles.foreign(content))
    except pickles.BadPickle:
        if not found:  # names that were already found explain more than the damage
            raise _damaged(path) from None
    return sorted(found)


def _refuse_names(path: Path, names: list[str]) -> None:
    """Raise the error for a pickle that refers to code, if there are any names."""
    if not names:
        return
    listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    network = any(name.startswith(("torch.nn.modules.", "torch.nn.parallel.")) for name in names)
    what = "a whole pickled network, which needs the code of its classes" if network else "not the tensors alone"
    raise refusal(
        path, f"holds more than tensors, or is damaged; nothing in it was run. It is {what}: it asks for {listed}. Ask "
        f"its authors for the state alone: {_SAVE_THE_STATE}.",
    )  # fmt: skip


def _damaged(path: Path) -> WeightsError:
    return refusal(
        path, "holds more than tensors, or is damaged; nothing in it was run. Compare its size with the published one "
        f"and download it again, or ask its authors for the state alone: {_SAVE_THE_STATE}.",
    )  # fmt: skip


# -- reading -------------------------------------------------------------------------------------------------------


def _load(path: Path, found: Format, head: bytes) -> Any:
    """Return the objects in a file that was checked before."""
    try:
        if found is Format.SAFETENSORS:
            _check_header(path, head)
            return load_file(path)
        # Warnings about pickle protocols do not matter if the file can be read. The file is passed open, because torch
        # would judge a path by its suffix.
        with without_warnings(), _numpy_values(), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror}.") from None
    except Exception:  # torch raises many errors, and advises to load the file unsafely
        raise _damaged(path) from None


def _check_header(path: Path, head: bytes) -> None:
    (length,) = struct.unpack("<Q", head[:8])
    if length > limits.MAX_SAFETENSORS_HEADER_BYTES:
        raise refusal(
            path, f"is damaged: its header claims {length} bytes; {limits.MAX_SAFETENSORS_HEADER_BYTES} are allowed."
        )


@contextlib.contextmanager
def _numpy_values() -> Iterator[None]:
    """Make torch use placeholders for NumPy values in a file, without calling NumPy."""
    names: list[Any] = [(NumpyValue, name) for name in (*pickles.NUMPY_CALLS, *pickles.NUMPY_TYPES)]
    with _loading, torch.serialization.safe_globals(names):
        yield

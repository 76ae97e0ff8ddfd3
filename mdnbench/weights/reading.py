"""The content of weights files from outside: tensors, numbers and texts, and never code.

What a file is, how large it becomes and what its pickle asks for is looked at before torch reads it.
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

from mdnbench.errors import WeightsError
from mdnbench.spec.names import printable
from mdnbench.util import limits
from mdnbench.util.quiet import without_warnings
from mdnbench.weights import formats, pickles
from mdnbench.weights.formats import Format, Other

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
_loading = threading.Lock()  # torch keeps one list of safe names for all threads


class Content(NamedTuple):
    """What a weights file holds: its format, its size in bytes, and the objects in it, unchecked."""

    format: str
    bytes: int
    objects: Any


class NumpyValue:
    """Stands where a file has a NumPy number, array or type; nothing of it is kept."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read(path: Path) -> Content:
    """Read a weights file in one of the formats that tensors are read from.

    Nothing in the file is run. WeightsError, in one line, where it is missing, no plain file, of another format, larger
    than `limits` allow, damaged, or where it holds more than data.
    """
    size = check_plain(path)
    with path.open("rb") as file:
        head = file.read(formats.HEAD_BYTES)
    found = formats.of(head, size, path.suffix.lower())
    if found is Format.ARCHIVE:
        found = _look_into_archive(path, size)
    elif found in (Format.LEGACY, Format.PICKLE):
        _look_into_pickles(path, found is Format.LEGACY)
    if isinstance(found, Other):
        raise refusal(path, f"holds no weights that can be read: it is {found.what}. To do: {found.advice}.")
    return Content(found.value, size, _load(path, found, head))


def check_plain(path: Path) -> int:
    """The size of a plain file in bytes; WeightsError where it is missing, too large, or something else than a file."""
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
    """The error that a weights file is not taken, in one line."""
    return WeightsError(printable(f"the weights file {path} {reason}"))


def most_bytes(size: int) -> int:
    """How many bytes a file of `size` bytes may become in memory."""
    return limits.MAX_WEIGHTS_GROWTH * size + limits.WEIGHTS_ALLOWANCE_BYTES


# -- before torch reads it -----------------------------------------------------------------------------------------


def _look_into_archive(path: Path, size: int) -> Format | Other:
    """What a ZIP archive holds, judged by its list of members and, where torch wrote it, by its pickle."""
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
    """How many members the end of a ZIP archive promises, by the size of its list of them; 46 bytes each at least."""
    file.seek(max(0, size - 65_557))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 20:
        return 0
    (length,) = struct.unpack("<L", tail[end + 12 : end + 16])
    if length == 0xFFFFFFFF:  # ZIP64 has its own record of the length
        wide = tail.rfind(b"PK\x06\x06")
        length = struct.unpack("<Q", tail[wide + 40 : wide + 48])[0] if 0 <= wide <= len(tail) - 48 else size
    return int(min(length, size)) // 46


def _check_members(path: Path, archive: zipfile.ZipFile, size: int) -> None:
    """Refuse what unpacks to far more than the file has, and what holds a member twice."""
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


def _look_into_pickles(path: Path, legacy: bool) -> None:
    """Judge the pickles at the beginning of a file: five in one that torch wrote before 1.6, else one."""
    with path.open("rb") as file:
        content = io.BytesIO(file.read(limits.MAX_PICKLE_BYTES))
    _refuse_names(path, _names(path, content, 5 if legacy else 1))
    if not legacy:
        raise refusal(
            path, "is a plain Python pickle, which torch.save did not write; nothing in it was run. To do, where it "
            f"was made: {_SAVE_THE_STATE}.",
        )  # fmt: skip


def _names(path: Path, content: io.BytesIO, count: int) -> list[str]:
    """What the pickles ask for beyond data."""
    found: set[str] = set()
    try:
        for _ in range(count):
            found.update(pickles.foreign(content))
    except pickles.BadPickle:
        if not found:  # what was read so far may say more than the damage does
            raise _damaged(path) from None
    return sorted(found)


def _refuse_names(path: Path, names: list[str]) -> None:
    """Refuse a pickle that asks for code, by what it asks for."""
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
    """The objects in a file that was looked at before."""
    import torch
    from safetensors.torch import load_file

    try:
        if found is Format.SAFETENSORS:
            _check_header(path, head)
            return load_file(path)
        # Without warnings of pickle protocols: what counts is whether it can be read. As an open file, since torch
        # would judge a path by its suffix.
        with without_warnings(), _numpy_values(), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror}.") from None
    except Exception:  # a damaged file makes torch raise nearly anything, in words that advise to load it unsafely
        raise _damaged(path) from None


def _check_header(path: Path, head: bytes) -> None:
    (length,) = struct.unpack("<Q", head[:8])
    if length > limits.MAX_SAFETENSORS_HEADER_BYTES:
        raise refusal(
            path, f"is damaged: its header claims {length} bytes; {limits.MAX_SAFETENSORS_HEADER_BYTES} are allowed."
        )


@contextlib.contextmanager
def _numpy_values() -> Iterator[None]:
    """Let torch put placeholders where a file has NumPy values; NumPy itself is not asked for anything."""
    import torch

    names: list[Any] = [(NumpyValue, name) for name in (*pickles.NUMPY_CALLS, *pickles.NUMPY_TYPES)]
    with _loading, torch.serialization.safe_globals(names):
        yield

"""Check the directories of a TIFF file before tifffile reads them: how many there are, and how long their tags are."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from mdnbench.data.pixels import RefusalError
from mdnbench.util.limits import MAX_TIFF_PAGES_COUNTED, MAX_TIFF_SEGMENTS, MAX_TIFF_TAGS

# The tags with the offsets and sizes of strips and tiles.
_LISTS = {273: "strips", 279: "strips", 324: "tiles", 325: "tiles"}
_LOADED = {258, 277, 282, 283, 330, 338, 339, 513, 514, 530, 33628, 50838}  # tifffile makes Python objects of these
_MOST_LOADED = 1 << 16  # values of each of these tags; no file has more channels
_DESCRIPTION, _LONGEST_DESCRIPTION = 270, 1 << 26  # characters; the XML of microscopes is long


@dataclass(frozen=True, slots=True)
class _Form:
    """The sizes of numbers in classic TIFF and in BigTIFF, as `struct` formats with the byte order."""

    first: int  # the position of the first directory's offset
    place: str  # the offset of a directory
    count: str  # the number of its entries
    entry: str  # tag, type, number of values, and the values or their offset


def check(file: BinaryIO) -> tuple[int, set[int]]:
    """Check all directories of a TIFF.

    Returns:
        The number of directories, and the tags of the first one. The number is at most MAX_TIFF_PAGES_COUNTED + 1,
        because directories may form a loop.

    Raises:
        RefusalError: A directory is damaged or too large.

    """
    form = _form(file)
    place = _read(file, form.first, form.place)[0]
    if not place:
        raise RefusalError("is damaged: it has no directory")
    tags, place = _directory(file, place, form)
    pages = 1
    while place and pages <= MAX_TIFF_PAGES_COUNTED:
        _, place = _directory(file, place, form)
        pages += 1
    return pages, tags


def _form(file: BinaryIO) -> _Form:
    file.seek(0)
    start = file.read(4)
    order = "<" if start[:2] == b"II" else ">"
    if start[2:] in (b"+\0", b"\0+"):
        return _Form(8, f"{order}Q", f"{order}Q", f"{order}HHQ8x")
    return _Form(4, f"{order}I", f"{order}H", f"{order}HHI4x")


def _directory(file: BinaryIO, place: int, form: _Form) -> tuple[set[int], int]:
    """Return the tags of the directory at an offset, after a check, and the next directory's offset (0 for none)."""
    (count,) = _read(file, place, form.count)
    if count > MAX_TIFF_TAGS:
        raise RefusalError(f"is damaged: one of its directories has {count:,} tags; at most {MAX_TIFF_TAGS} are read")
    size = struct.calcsize(form.entry)
    begin = place + struct.calcsize(form.count)
    entries = _bytes(file, begin, count * size)
    tags = set()
    for tag, _, values in struct.iter_unpack(form.entry, entries):
        _check_length(tag, values)
        tags.add(tag)
    return tags, _read(file, begin + count * size, form.place)[0]


def _check_length(tag: int, values: int) -> None:
    if tag in _LISTS and values > MAX_TIFF_SEGMENTS:
        raise RefusalError(f"is a TIFF of {values:,} {_LISTS[tag]}; at most {MAX_TIFF_SEGMENTS:,} are read")
    if (tag in _LOADED and values > _MOST_LOADED) or (tag == _DESCRIPTION and values > _LONGEST_DESCRIPTION):
        raise RefusalError(f"is a TIFF whose tag {tag} has {values:,} values")


def _read(file: BinaryIO, place: int, form: str) -> tuple[int, ...]:
    return struct.unpack(form, _bytes(file, place, struct.calcsize(form)))


def _bytes(file: BinaryIO, place: int, size: int) -> bytes:
    try:
        file.seek(place)
        found = file.read(size)
    except (OSError, OverflowError, ValueError):  # an offset beyond what a file can have
        found = b""
    if len(found) < size:
        raise RefusalError("is damaged: it ends inside a directory, or names a place beyond its end")
    return found

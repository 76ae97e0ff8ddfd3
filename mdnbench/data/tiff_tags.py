"""Check the directories of a TIFF file before tifffile reads them: its pages, and how long their tags are."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from mdnbench.data.pixels import RefusalError
from mdnbench.util.limits import (
    MAX_TIFF_DESCRIPTION_CHARACTERS,
    MAX_TIFF_PAGES_COUNTED,
    MAX_TIFF_SEGMENTS,
    MAX_TIFF_TAGS,
    MAX_TIFF_VALUES,
)

# The tags with the offsets and sizes of strips and tiles.
_LISTS = {273: "strips", 279: "strips", 324: "tiles", 325: "tiles"}
_LOADED = {258, 277, 282, 283, 330, 338, 339, 513, 514, 530, 33628, 50838}  # tifffile makes Python objects of these
_DESCRIPTION = 270


_SUBFILE, _WIDTH, _HEIGHT, _SUBIFDS = 254, 256, 257, 330
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # `struct` formats of TIFF's types


@dataclass(frozen=True, slots=True)
class Page:
    """What one directory describes.

    Attributes:
        tags: The tags of the directory.
        width: The width in pixels; 0 if it is not there.
        height: The height in pixels; 0 if it is not there.
        is_reduced: Whether it is marked as a copy of another page with fewer pixels.
        is_mask: Whether it is marked as the transparency mask of another page.
        below: The pages in its SubIFDs.

    """

    tags: frozenset[int]
    width: int = 0
    height: int = 0
    is_reduced: bool = False
    is_mask: bool = False
    below: tuple[Page, ...] = field(default=())

    @property
    def is_picture(self) -> bool:
        """Return whether this is a picture of its own."""
        return not (self.is_reduced or self.is_mask)

    def __str__(self) -> str:
        kind = "a mask" if self.is_mask else "a reduced copy" if self.is_reduced else "a picture"
        return f"{kind} of {self.width}×{self.height} pixels"


@dataclass(frozen=True, slots=True)
class _Form:
    """The sizes of numbers in classic TIFF and in BigTIFF, as `struct` formats with the byte order."""

    first: int  # the position of the first directory's offset
    place: str  # the offset of a directory
    count: str  # the number of its entries
    entry: str  # tag, type, number of values, and the values or their offset


def check(file: BinaryIO) -> list[Page]:
    """Check all directories of a TIFF.

    Returns:
        The pages, and for the first one those in its SubIFDs. Of both there are at most MAX_TIFF_PAGES_COUNTED + 1,
        because directories may form a loop.

    Raises:
        RefusalError: A directory is damaged or too large.

    """
    form = _form(file)
    place = _read(file, form.first, form.place)[0]
    if not place:
        raise RefusalError("is damaged: it has no directory")
    page, place = _directory(file, place, form, with_below=True)
    pages = [page]
    while place and len(pages) <= MAX_TIFF_PAGES_COUNTED:
        page, place = _directory(file, place, form)
        pages.append(page)
    return pages


def _form(file: BinaryIO) -> _Form:
    file.seek(0)
    start = file.read(4)
    order = "<" if start[:2] == b"II" else ">"
    if start[2:] in (b"+\0", b"\0+"):
        return _Form(8, f"{order}Q", f"{order}Q", f"{order}HHQ8s")
    return _Form(4, f"{order}I", f"{order}H", f"{order}HHI4s")


def _directory(file: BinaryIO, place: int, form: _Form, *, with_below: bool = False) -> tuple[Page, int]:
    """Return the page of the directory at an offset, after a check, and the next directory's offset (0 for none)."""
    (count,) = _read(file, place, form.count)
    if count > MAX_TIFF_TAGS:
        raise RefusalError(f"is damaged: one of its directories has {count:,} tags; at most {MAX_TIFF_TAGS} are read")
    size = struct.calcsize(form.entry)
    begin = place + struct.calcsize(form.count)
    entries = _bytes(file, begin, count * size)
    tags, numbers = set(), dict[int, tuple[int, ...]]()
    for tag, kind, values, content in struct.iter_unpack(form.entry, entries):
        _check_length(tag, values)
        tags.add(tag)
        if tag in (_SUBFILE, _WIDTH, _HEIGHT):
            numbers[tag] = _numbers(file, form, kind, min(values, 1), content)
        elif tag == _SUBIFDS and with_below:
            numbers[tag] = _numbers(file, form, kind, min(values, MAX_TIFF_PAGES_COUNTED + 1), content)
    following = _read(file, begin + count * size, form.place)[0]
    width, height, subfile = ((*numbers.get(tag, ()), 0)[0] for tag in (_WIDTH, _HEIGHT, _SUBFILE))
    below = tuple(_directory(file, place, form)[0] for place in numbers.get(_SUBIFDS, ()))
    return Page(frozenset(tags), width, height, bool(subfile & _REDUCED), bool(subfile & _MASK), below), following


def _numbers(file: BinaryIO, form: _Form, kind: int, count: int, content: bytes) -> tuple[int, ...]:
    """Return the values of a tag, which are in its entry or at the offset that it holds; nothing for other types."""
    if kind not in _WHOLE_NUMBERS:
        return ()
    wanted = f"{form.place[0]}{count}{_WHOLE_NUMBERS[kind]}"
    size = struct.calcsize(wanted)
    if size > len(content):
        (place,) = struct.unpack(form.place, content)
        content = _bytes(file, place, size)
    return struct.unpack(wanted, content[:size])


def _check_length(tag: int, values: int) -> None:
    if tag in _LISTS and values > MAX_TIFF_SEGMENTS:
        raise RefusalError(f"is a TIFF of {values:,} {_LISTS[tag]}; at most {MAX_TIFF_SEGMENTS:,} are read")
    most = MAX_TIFF_DESCRIPTION_CHARACTERS if tag == _DESCRIPTION else MAX_TIFF_VALUES
    if tag in (*_LOADED, _DESCRIPTION) and values > most:
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

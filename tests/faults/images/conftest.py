"""What the tests of image files share: TIFF files written tag by tag, so that they may claim anything."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mdnbench.data import folders
from mdnbench.errors import BadImage

SHORT, LONG = 3, 4
Tiff = Callable[..., bytes]


def tiff(pixels: bytes = bytes(12), tags: Mapping[int, Any] | None = None, *, next_page: int = 0) -> bytes:
    """A classic TIFF of one directory after its pixels: 4×3 gray of 8 bits, unless `tags` say otherwise.

    A tag's value is a number, a tuple of numbers or bytes; None leaves the tag out. `next_page` is the place of the
    next directory; 0 is none, and -1 this one again.
    """
    values: dict[int, Any] = {
        256: 4, 257: 3, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 3, 279: len(pixels),
    } | dict(tags or {})  # fmt: skip
    entries, more = b"", b""
    begin = 8 + len(pixels)
    listed = sorted((tag, value) for tag, value in values.items() if value is not None)
    after = begin + 2 + 12 * len(listed) + 4
    for tag, value in listed:
        kind, count, body = _packed(value)
        if len(body) > 4:
            more, body = more + body, struct.pack("<I", after + len(more))
        entries += struct.pack("<HHI", tag, kind, count) + body.ljust(4, b"\0")
    following = begin if next_page == -1 else next_page
    directory = struct.pack("<H", len(listed)) + entries + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", begin) + pixels + directory + more


def _packed(value: Any) -> tuple[int, int, bytes]:
    if isinstance(value, bytes):
        return 2, len(value), value
    numbers = value if isinstance(value, tuple) else (value,)
    return LONG, len(numbers), struct.pack(f"<{len(numbers)}I", *numbers)


@pytest.fixture(scope="session")
def raw_tiff() -> Tiff:
    """`raw_tiff(pixels, tags)` makes the bytes of a TIFF that has these tags."""
    return tiff


@pytest.fixture
def photos(workspace: Path) -> Path:
    """An empty folder for images."""
    folder = workspace / "photos"
    folder.mkdir()
    return folder


def _load(folder: Path) -> None:
    found = folders.folder_dataset(folder)
    found.load(found.images[0])


@pytest.fixture
def refusal(photos: Path) -> Callable[[bytes | None], str]:
    """`refusal(content)` is the one line in which a folder with this file is refused; None: the file is there."""

    def refuse(content: bytes | None = None, name: str = "a.tif") -> str:
        if content is not None:
            (photos / name).write_bytes(content)
        with pytest.raises(BadImage) as caught:
            _load(photos)
        message = str(caught.value)
        assert message.isprintable()
        assert str(photos / name) in message
        return message.partition(". Allowed: ")[0]

    return refuse

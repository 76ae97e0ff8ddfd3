"""Fault 48: TIFF files that claim, lead or hide more than they hold are refused before a pixel is decoded."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile

from mdnbench.data import images
from mdnbench.util import limits

Tiff = Callable[..., bytes]
Refusal = Callable[..., str]
TILE = {322: 16, 323: 16, 273: None, 278: None, 279: None, 324: 8, 325: 256}


@pytest.fixture(autouse=True)
def quick_and_small() -> Any:
    """No claim costs more than seconds, or more memory than the file."""
    import tracemalloc

    tracemalloc.start()
    begun = time.monotonic()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.monotonic() - begun < 20
    assert peak < 300e6


CLAIMS: dict[str, tuple[dict[int, Any], str]] = {
    "size": ({256: 100_000, 257: 100_000}, "claims 100000×100000 pixels"),
    "no width": ({256: 0}, "has no pixels"),
    "no height": ({257: 0, 278: 1}, "has no pixels"),
    "huge strips": ({256: 4, 257: 3, 278: 2**31}, ""),  # as high as the image: nothing more is claimed
    "huge tiles": ({**TILE, 322: 1 << 16, 323: 1 << 17}, "claims strips or tiles of"),
    "tiles without size": ({**TILE, 322: 0}, "strips or tiles have no size"),
    "too few strips": ({278: 1}, "3 strips or tiles are needed"),
    "too many strips": ({273: (8, 8, 8), 279: (4, 4, 4)}, "1 strips or tiles are needed"),
    "no strips": ({273: None, 279: None}, "strips or tiles are needed"),
    "an empty strip": ({279: 0}, "empty"),
    "a strip beyond the end": ({273: 10**6}, "ends before its pixels do"),
    "a short strip": ({279: 11}, "holds 11 bytes, and needs 12"),
    "a long strip": ({279: 13}, "more bytes than its pixels need"),
    "shared strips": ({278: 1, 273: (8,) * 3, 279: (4_000,) * 3, 259: 8}, "share their bytes"),
    "samples": ({277: 60_000}, "gray channels"),
    "no compression known": ({259: 0}, "number 0 compression"),
    "a description as long as the file": ({270: b"ImageJ=" + b"images=1\n" * 1000}, ""),
}


@pytest.mark.parametrize("kind", CLAIMS)
def test_fault_48_claims_are_checked_before_decoding(raw_tiff: Tiff, refusal: Refusal, photos: Path, kind: str) -> None:
    """Each is refused for what it claims; what claims nothing is read."""
    tags, reason = CLAIMS[kind]
    content = raw_tiff(bytes(256 if 322 in tags else 12), tags)
    if reason:
        assert reason in refusal(content)
    else:
        (photos / "a.tif").write_bytes(content)
        assert images.read_image(photos / "a.tif").shape == (3, 4)


def test_fault_48_directories_that_form_a_loop(raw_tiff: Tiff, refusal: Refusal) -> None:
    """The walk ends."""
    assert "its directories form a loop" in refusal(raw_tiff(next_page=-1))


def test_fault_48_a_directory_beyond_the_end(raw_tiff: Tiff, refusal: Refusal) -> None:
    """The file is damaged, and says so."""
    assert "names a place beyond its end" in refusal(raw_tiff(next_page=2**31))
    big = b"II+\0" + struct.pack("<HHQ", 8, 0, 2**63) + bytes(20)
    assert "names a place beyond its end" in refusal(big)


@pytest.mark.parametrize(
    ("pages", "said"),
    [(2, "holds 2 pic"), (1000, "holds 1000 pic"), (1001, "holds more than 1,000"), (20_000, "holds more than 1,000")],
)
def test_fault_48_a_thousand_pages_are_counted_and_no_more(
    raw_tiff: Tiff, refusal: Refusal, pages: int, said: str
) -> None:
    """A stack says how many pictures it has, up to a number."""
    begin = len(raw_tiff())
    content = raw_tiff(next_page=begin)
    for number in range(1, pages):
        following = begin + 6 * number if number < pages - 1 else 0
        content += struct.pack("<HI", 0, following)  # a directory without tags
    assert said in refusal(content)


def test_fault_48_lists_that_are_too_long_are_not_loaded(refusal: Refusal, photos: Path) -> None:
    """A million strips would be a million objects before the image is known to have three rows."""
    count = limits.MAX_TIFF_SEGMENTS + 1
    body = struct.pack("<HHII", 273, 4, count, 8) + struct.pack("<HHII", 279, 4, count, 8)
    content = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 2) + body + struct.pack("<I", 0) + bytes(4 * count)
    assert "is a TIFF of 200,001 strips; at most 200,000 are read" in refusal(content)
    many = struct.pack("<HHII", 258, 3, 10**6, 8)
    content = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + many + struct.pack("<I", 0) + bytes(2 * 10**6)
    assert "tag 258 has 1,000,000 values" in refusal(content)


def test_fault_48_a_directory_of_very_many_tags(refusal: Refusal) -> None:
    """More tags than any file has are a sign of damage."""
    content = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 60_000) + bytes(12 * 60_000 + 4)
    assert "60,000 tags" in refusal(content)


@pytest.mark.parametrize("codec", ["Deflate", "LZMA", "LZW", "PackBits"])
def test_fault_48_a_strip_that_grows_without_end(
    raw_tiff: Tiff, photos: Path, refusal: Refusal, codec: str, tmp_path: Path
) -> None:
    """No more comes out of a strip than the image needs, however much is in it."""
    bomb, compression = _bomb(codec, tmp_path)
    (photos / "a.tif").write_bytes(raw_tiff(bomb, {259: compression}))
    assert images.read_image(photos / "a.tif").max() == 0
    assert "damaged" in refusal(raw_tiff(bomb[: len(bomb) // 50], {259: compression, 256: 5000, 257: 5000, 278: 5000}))


def _bomb(codec: str, folder: Path) -> tuple[bytes, int]:
    """A strip of zeros that is 20 MB when it is unpacked, and the number of its codec."""
    import lzma

    zeros = bytes(20_000_000)
    if codec == "Deflate":
        return zlib.compress(zeros), 8
    if codec == "LZMA":
        return lzma.compress(zeros), 34925
    if codec == "PackBits":
        return b"\x81\0" * (len(zeros) // 128), 32773
    PIL.Image.new("L", (20_000, 1000)).save(folder / "bomb.tif", compression="tiff_lzw", strip_size=1 << 30)
    with tifffile.TiffFile(folder / "bomb.tif") as file:
        page = file.pages.first
        content = (folder / "bomb.tif").read_bytes()
        return content[page.dataoffsets[0] :][: page.databytecounts[0]], 5


@pytest.mark.parametrize("codec", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "lzma"])
def test_fault_48_damaged_strips_say_so_and_print_nothing(
    photos: Path, refusal: Refusal, codec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The lines that libtiff would print to the terminal stay off it."""
    noise = np.random.default_rng(1).integers(0, 20, (60, 60), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(photos / "a.tif", compression=codec)
    content = bytearray((photos / "a.tif").read_bytes())
    with tifffile.TiffFile(photos / "a.tif") as file:
        begin, length = file.pages.first.dataoffsets[0], file.pages.first.databytecounts[0]
    content[begin : begin + length] = (b"\0" if codec == "packbits" else b"\xff") * length
    assert "damaged" in refusal(bytes(content))
    assert capfd.readouterr() == ("", "")


def test_fault_48_a_tag_that_cannot_be_read_is_no_default(raw_tiff: Tiff, refusal: Refusal) -> None:
    """Passing over a broken tag, as tifffile does, would make whole numbers of floats."""
    content = bytearray(raw_tiff(bytes(48), {258: 32, 339: 3, 279: 48}))
    place = content.index(struct.pack("<HHI", 339, 4, 1))
    content[place + 2 : place + 4] = struct.pack("<H", 99)  # a type that there is not
    assert "its tag 339 cannot be read" in refusal(bytes(content))

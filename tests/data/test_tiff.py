"""TIFF by parts: layouts, predictors and codecs against what tifffile and Pillow make of the same file."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from mdnbench.data import codecs, tiff, tiff_tags
from mdnbench.data.pixels import RefusalError

GRAY = np.random.default_rng(3).integers(0, 256, (37, 53), dtype=np.uint8)


def test_the_directory_is_walked_in_both_byte_orders_and_sizes(tmp_path: Path) -> None:
    """The number of directories and the first one's tags are those that tifffile finds."""
    for options in ({}, {"byteorder": ">"}, {"bigtiff": True}, {"bigtiff": True, "byteorder": ">"}):
        tifffile.imwrite(tmp_path / "a.tif", np.stack([GRAY] * 3), photometric="minisblack", **options)
        with tifffile.TiffFile(tmp_path / "a.tif") as known, (tmp_path / "a.tif").open("rb") as file:
            pages, tags = tiff_tags.check(file)
            assert (pages, tags) == (len(known.pages), {tag.code for tag in known.pages.first.tags})


@pytest.mark.parametrize("rows", [1, 5, 36, 37, 100])
def test_the_last_strip_may_be_shorter(tmp_path: Path, rows: int) -> None:
    """Strips of any height cover the image."""
    tifffile.imwrite(tmp_path / "a.tif", GRAY, rowsperstrip=rows, compression="zlib")
    with (tmp_path / "a.tif").open("rb") as file:
        assert np.array_equal(tiff.read(file), GRAY.astype(np.float32) / 255)


@pytest.mark.parametrize("codec", [codecs.NONE, 8, 32946, 34925, codecs.LZW, codecs.PACKBITS])
def test_no_more_comes_out_than_was_asked_for(codec: int, tmp_path: Path) -> None:
    """Each codec gives the first bytes of what it holds."""
    import lzma

    plain = GRAY.tobytes()
    names = {codecs.LZW: "tiff_lzw", codecs.PACKBITS: "packbits"}
    if codec in names:
        PIL.Image.fromarray(GRAY).save(tmp_path / "a.tif", compression=names[codec], strip_size=1 << 20)
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            (offset,), (length,) = file.pages.first.dataoffsets, file.pages.first.databytecounts
        packed = (tmp_path / "a.tif").read_bytes()[offset : offset + length]
    else:
        packed = {codecs.NONE: plain, 34925: lzma.compress(plain)}.get(codec, zlib.compress(plain))
    codecs.check(codec)
    for size in (len(plain), 100, 1):
        assert codecs.unpacked([packed, packed], codec, size) == [plain[:size]] * 2


def test_a_codec_that_is_not_read_is_named() -> None:
    """By its name where it has one."""
    for number, name in ((7, "JPEG"), (34887, "LERC"), (12345, "number 12345")):
        with pytest.raises(RefusalError, match=f"{name} compression"):
            codecs.check(number)


def test_differences_of_bytes_of_floats_are_undone() -> None:
    """As Adobe's note on predictors for floats defines them: by hand, for one row of two values."""
    values = np.array([[1.5, -2.25]], ">f4")
    planes = values.view(np.uint8).reshape(2, 4).T.ravel()
    differences = np.diff(planes, prepend=np.uint8(0)).astype(np.uint8)
    assert np.array_equal(tiff._float_sums(differences.tobytes(), 4, (1, 2, 1))[..., 0], values)


def test_tifffile_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """What it logs of odd files is not for the terminal."""
    odd = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 256, 99, 1, 5, 0)
    with pytest.raises(RefusalError):
        tiff.channels(io.BytesIO(odd))
    assert capfd.readouterr() == ("", "")

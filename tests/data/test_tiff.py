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
            pages = tiff_tags.check(file)
            assert [page.tags for page in pages] == [{tag.code for tag in page.tags} for page in known.pages]
            assert {(page.width, page.height, page.is_picture) for page in pages} == {(53, 37, True)}


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


def write_pages(path: Path, kinds: list[int], options: dict[str, object] | None = None) -> None:
    """Write pages with these values of NewSubfileType; marked ones have half the size, and masks one bit a pixel."""
    with tifffile.TiffWriter(path, **(options or {})) as file:
        for kind in kinds:
            pixels = GRAY[::2, ::2] if kind & 1 else GRAY
            file.write(pixels > 127 if kind & 4 else pixels, subfiletype=kind, photometric="mask" if kind & 4 else None)


def refusal(path: Path) -> str:
    """Why a file is refused, by both functions."""
    said = set()
    for call in (tiff.read, tiff.channels):
        with path.open("rb") as file, pytest.raises(RefusalError) as caught:
            call(file)
        said.add(str(caught.value))
    (reason,) = said
    return reason


COPY, MASK, PICTURE = "a reduced copy of 27×19 pixels", "a mask of 53×37 pixels", "a picture of 53×37 pixels"
ALONE = "; write the page that is meant into a file of its own: tifffile.imwrite(NEW, tifffile.imread(OLD, key={}))"
STACK = ": it is a stack, which is not read yet; one picture is wanted"


@pytest.mark.parametrize("form", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"bigtiff": True, "byteorder": ">"}])
@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        ([0, 1], f"holds, next to {PICTURE}, also {COPY}{ALONE.format(0)}"),
        ([0, 4], f"holds, next to {PICTURE}, also {MASK}{ALONE.format(0)}"),
        ([0, 1, 5], f"holds, next to {PICTURE}, also {COPY}, a mask of 27×19 pixels{ALONE.format(0)}"),
        ([1, 0], f"holds, next to {PICTURE}, also {COPY}{ALONE.format(1)}"),
        ([1, 1], f"holds, next to {COPY}, also {COPY}{ALONE.format(0)}"),
        ([0, *[1] * 6], f"also {', '.join([COPY] * 4)} and 2 more{ALONE.format(0)}"),
        ([0, 2], f"holds 2 pictures{STACK}"),
        ([0, 0, 0], f"holds 3 pictures{STACK}"),
        ([0, 1, 0, 1], f"holds 2 pictures (and {COPY}, {COPY}){STACK}"),
    ],
)
def test_pages_that_belong_to_the_picture_are_named(
    tmp_path: Path, form: dict[str, object], kinds: list[int], reason: str
) -> None:
    """Only several pictures are a stack; a thumbnail, a pyramid or a mask is named, and what to do about it."""
    write_pages(tmp_path / "a.tif", kinds, form)
    assert reason in refusal(tmp_path / "a.tif")


@pytest.mark.parametrize("form", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"bigtiff": True, "byteorder": ">"}])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_pages_in_subifds_are_named(tmp_path: Path, form: dict[str, object], count: int) -> None:
    """As a pyramid has them; one or several offsets are stored in different ways."""
    with tifffile.TiffWriter(tmp_path / "a.tif", **form) as file:
        file.write(GRAY, subifds=count)
        for _ in range(count):
            file.write(GRAY[::2, ::2], subfiletype=1)
    named = ", ".join([COPY] * count)
    assert refusal(tmp_path / "a.tif") == f"holds, next to {PICTURE}, also {named} (in SubIFDs){ALONE.format(0)}"


def test_what_the_message_says_to_do_works(tmp_path: Path) -> None:
    """The page alone is read."""
    for number, kinds in enumerate(([0, 1], [1, 0], [0, 4])):
        write_pages(tmp_path / "old.tif", kinds)
        key = int(refusal(tmp_path / "old.tif").rpartition("key=")[2].rstrip(")"))
        tifffile.imwrite(tmp_path / f"{number}.tif", tifffile.imread(tmp_path / "old.tif", key=key))
        with (tmp_path / f"{number}.tif").open("rb") as file:
            assert np.array_equal(tiff.read(file), GRAY.astype(np.float32) / 255)


def test_subifds_that_lead_nowhere_are_damage(tmp_path: Path) -> None:
    """An offset beyond the end, and a table of offsets beyond the end."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GRAY, subifds=1)
        file.write(GRAY[::2, ::2], subfiletype=1)
    with tifffile.TiffFile(tmp_path / "a.tif") as known:
        entry = known.pages.first.tags[330]
    whole = (tmp_path / "a.tif").read_bytes()
    for count, value in ((1, 2**31), (2, 2**31), (1, len(whole) - 1)):
        changed = bytearray(whole)
        changed[entry.offset + 4 : entry.offset + 12] = struct.pack("<II", count, value)
        (tmp_path / "b.tif").write_bytes(changed)
        assert "is damaged: it ends inside a directory" in refusal(tmp_path / "b.tif")

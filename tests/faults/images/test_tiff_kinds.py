"""Fault 48: TIFF files of every kind are read in full, or refused by name with the true reason."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile

from mdnbench.data import codecs, folders, images
from mdnbench.data.pixels import RefusalError

RNG = np.random.default_rng(48)
GRAY = RNG.integers(0, 256, (50, 70), dtype=np.uint8)
RGB = RNG.integers(0, 256, (50, 70, 3), dtype=np.uint8)
GRAY16 = RNG.integers(0, 65536, (50, 70), dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (50, 70, 3), dtype=np.uint16)
FLOATS, COLOUR_FLOATS = RNG.random((50, 70)), RNG.random((50, 70, 3))
ARRAYS = {
    "gray": GRAY, "rgb": RGB, "gray16": GRAY16, "rgb16": RGB16, "float64": FLOATS, "float32": FLOATS.astype("f4"),
    "float16": FLOATS.astype("f2"), "rgb-float64": COLOUR_FLOATS, "rgb-float32": COLOUR_FLOATS.astype("f4"),
    "rgb-float16": COLOUR_FLOATS.astype("f2"),
}  # fmt: skip
LAYOUTS: dict[str, dict[str, Any]] = {
    "one strip": {},
    "big-endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "strips": {"rowsperstrip": 7, "compression": "zlib"},
    "tiles": {"tile": (16, 32)},
    "packed tiles": {"tile": (32, 16), "compression": "zlib", "byteorder": ">"},
    "LZMA": {"compression": "lzma", "rowsperstrip": 9},
}
CODECS = {"none": 1, "LZW": 5, "Deflate": 8, "old Deflate": 32946, "PackBits": 32773}


def in_unit_range(pixels: np.ndarray) -> np.ndarray:
    """What an array is read as."""
    top = {1: 255, 2: 65535}[pixels.dtype.itemsize] if pixels.dtype.kind == "u" else 1
    return pixels.astype(np.float32) / np.float32(top)


def check(path: Path, pixels: np.ndarray) -> None:
    """A file is read as these pixels, as an image of a folder too, and announced with their channels."""
    assert np.array_equal(images.read_image(path), in_unit_range(pixels))
    assert images.channels(path) == (1 if pixels.ndim == 2 else 3)
    assert np.array_equal(folders.folder_dataset(path.parent).load(path.stem), in_unit_range(pixels))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ARRAYS)
def test_fault_48_every_sane_tiff_is_read_in_full(photos: Path, kind: str, layout: str) -> None:
    """8 and 16 bits and floats, gray and RGB, in strips and tiles, both byte orders, packed and not."""
    pixels = ARRAYS[kind]
    colour = {"photometric": "rgb"} if pixels.ndim == 3 else {}
    tifffile.imwrite(photos / "a.tif", pixels, **colour, **LAYOUTS[layout])
    check(photos / "a.tif", pixels)


@pytest.mark.parametrize("layout", ["one strip", "strips", "tiles"])
@pytest.mark.parametrize("kind", ["rgb", "rgb16", "rgb-float32"])
def test_fault_48_colour_planes_apart_are_read_in_full(photos: Path, kind: str, layout: str) -> None:
    """Red, green and blue one after the other are one image."""
    tifffile.imwrite(
        photos / "a.tif", ARRAYS[kind].transpose(2, 0, 1), photometric="rgb", planarconfig="separate", **LAYOUTS[layout]
    )
    check(photos / "a.tif", ARRAYS[kind])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", ["gray", "rgb", "gray16", "rgb16", "float32", "rgb-float32"])
def test_fault_48_what_libtiff_writes_is_read_in_full(photos: Path, kind: str, codec: str) -> None:
    """Each lossless codec, with differences of values and, for floats, of their bytes."""
    pixels = ARRAYS[kind]
    for predictor in (1, 2, 3) if pixels.dtype.kind == "f" else (1, 2):
        written = cv2.imwrite(
            str(photos / "a.tif"), pixels[..., ::-1] if pixels.ndim == 3 else pixels,
            [cv2.IMWRITE_TIFF_COMPRESSION, CODECS[codec], cv2.IMWRITE_TIFF_PREDICTOR, predictor,
             cv2.IMWRITE_TIFF_ROWSPERSTRIP, 13],
        )  # fmt: skip
        assert written
        check(photos / "a.tif", pixels)


@pytest.mark.parametrize("kind", ["gray", "gray16"])
def test_fault_48_white_is_zero_is_turned_round(photos: Path, kind: str) -> None:
    """Where the file says that 0 is white, 0 is read as 1."""
    tifffile.imwrite(photos / "a.tif", ARRAYS[kind], photometric="miniswhite")
    check(photos / "a.tif", np.invert(ARRAYS[kind]))


def test_fault_48_a_value_one_step_of_float64_above_1_is_1(photos: Path) -> None:
    """Floats are judged as the float32 that they become."""
    tifffile.imwrite(photos / "a.tif", np.nextafter(np.ones((9, 9)), 2))
    assert (images.read_image(photos / "a.tif") == 1).all()


@pytest.mark.parametrize("wide", [GRAY, RGB], ids=["gray", "rgb"])
def test_fault_48_an_imagej_or_ome_file_of_one_plane_is_read(photos: Path, wide: np.ndarray) -> None:
    """It is the planes that are refused, not the programs that write them."""
    for kind in ({"imagej": True}, {"ome": True}):
        tifffile.imwrite(photos / "a.tif", wide, **kind)
        check(photos / "a.tif", wide)


THREE = np.stack([GRAY, GRAY[::-1], GRAY])
TWO_CHANNELS: dict[str, Any] = {"photometric": "minisblack", "planarconfig": "contig"}
REFUSED: dict[str, tuple[np.ndarray, dict[str, Any], str]] = {
    "two-channels": (
        np.dstack([GRAY, GRAY]), {**TWO_CHANNELS, "extrasamples": ["unspecified"]}, "has 2 gray channels"),
    "gray-alpha": (
        np.dstack([GRAY, GRAY]), {**TWO_CHANNELS, "extrasamples": ["unassalpha"]}, "is gray with an alpha channel"),
    "three-gray-contiguous": (RGB, TWO_CHANNELS, "has 3 gray channels"),
    "three-gray-planes": (THREE, {"photometric": "minisblack", "planarconfig": "separate"}, "has 3 gray channels"),
    "infrared": (
        np.dstack([RGB, GRAY]), {"photometric": "rgb", "extrasamples": ["unspecified"]}, "RGB with a fourth channel"),
    "rgba": (
        np.dstack([RGB, GRAY]), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, "RGB with an alpha channel"),
    "premultiplied": (
        np.dstack([RGB, GRAY]), {"photometric": "rgb", "extrasamples": ["assocalpha"]}, "RGB with an alpha channel"),
    "five-channels": (
        np.dstack([RGB, GRAY, GRAY]), {"photometric": "rgb", "extrasamples": ["unspecified"] * 2}, "5 channels in all"),
    "imagej-stack": (THREE, {"imagej": True, "truncate": True}, "a stack of 3 planes"),
    "imagej-pages": (THREE, {"imagej": True}, "holds 3 pictures"),
    "shaped-stack": (THREE, {"photometric": "minisblack", "truncate": True}, "a stack of 3 planes"),
    "volume": (
        THREE, {"photometric": "minisblack", "volumetric": True, "tile": (16, 16, 16)}, "a stack of 3 planes"),
    "ome-stack": (THREE, {"ome": True, "photometric": "minisblack"}, "holds 3 pictures"),
    "pages": (THREE, {"photometric": "minisblack"}, "holds 3 pictures"),
    "int8": (GRAY.view(np.int8), {}, "signed 8-bit whole numbers"),
    "int16": (GRAY16.view(np.int16), {}, "signed 16-bit whole numbers"),
    "int32": (GRAY.astype(np.int32), {}, "signed 32-bit whole numbers"),
    "uint32": (GRAY.astype(np.uint32), {}, "32-bit whole numbers"),
    "uint64": (GRAY.astype(np.uint64), {}, "64-bit whole numbers"),
    "complex": (GRAY.astype(np.complex64), {}, "complex"),
    "one-bit": (GRAY > 127, {}, "1 bit a pixel"),
    "palette": (GRAY, {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}, "palette colours"),
    "cmyk": (np.dstack([RGB, GRAY]), {"photometric": "separated"}, "is CMYK"),
    "ycbcr": (RGB, {"photometric": "ycbcr"}, "is YCbCr"),
    "lab": (RGB, {"photometric": "cielab"}, "is CIELab"),
    "sensor": (GRAY, {"photometric": "cfa"}, "raw data of a colour sensor"),
    "white-is-zero-floats": (FLOATS, {"photometric": "miniswhite"}, "0 is white"),
    "nan": (np.full((9, 9), np.nan), {}, "NaN or infinite"),
    "infinite": (np.full((9, 9), np.inf, np.float16), {}, "NaN or infinite"),
    "beyond-float32": (np.full((9, 9), 1e300), {}, "values from 1e+300 to 1e+300"),
    "0-to-255": (FLOATS * 255, {}, "must lie in [0, 1]"),
    "negative": (FLOATS - 0.5, {}, "must lie in [0, 1]"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_fault_48_what_is_not_read_is_refused_with_the_reason(
    photos: Path, refusal: Callable[..., str], kind: str
) -> None:
    """Never in part, and never as damaged: each of these files is sound."""
    pixels, options, reason = REFUSED[kind]
    tifffile.imwrite(photos / "a.tif", pixels, **options)
    said = refusal()
    assert reason in said
    assert "damaged" not in said


def test_fault_48_pictures_below_the_first_are_named(photos: Path, refusal: Callable[..., str]) -> None:
    """A pyramid has its smaller pictures in SubIFDs."""
    with tifffile.TiffWriter(photos / "a.tif") as file:
        file.write(GRAY, subifds=1)
        file.write(GRAY[::2, ::2], subfiletype=1)
    assert "SubIFDs" in refusal()


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({258: 12, 279: 18}, "has 12-bit whole numbers, packed"),
        ({258: 4, 279: 6}, "has 4-bit whole numbers, packed"),
        ({258: (5, 6, 5), 277: 3, 262: 2, 279: 24}, "has channels of unequal bits (5, 6, 5)"),
        ({266: 2}, "bits of its bytes in reverse order"),
        ({259: 34712}, "JPEG 2000 compression, which is not read here (with the package imagecodecs"),
        ({259: 50001}, "WebP compression"),
        ({259: 34887}, "LERC compression"),
        ({259: 3}, "CCITT compression"),
        ({259: 4711}, "number 4711 compression"),
        ({50706: 1}, "a camera's raw file (DNG)"),
        ({33629: tuple(range(18))}, "a stack of 18 planes"),
        ({270: b"ImageJ=1.54f\nimages=7\nslices=7\n\0"}, "a stack of 7 planes"),
        ({270: b"ImageJ=1.54f\nframes=5\nhyperstack=true\n\0"}, "a stack of 5 planes"),
        ({270: b'<?xml version="1.0"?><OME><Image><Pixels SizeC="1" SizeT="4" SizeZ="2"/></Image></OME>\0'},
         "a stack of 8 planes"),
        ({270: b'{"shape": [6, 3, 4]}\0'}, "a stack of 6 planes"),
        ({339: 4}, "undefined values"),
        ({262: None}, "lacks the tag PhotometricInterpretation"),
        ({317: 34892, 279: 12}, "predictor 34892"),
        ({258: 24, 339: 3, 279: 36}, "floats of 24 bits"),
    ],
)  # fmt: skip
def test_fault_48_rare_kinds_are_refused_with_the_reason(
    raw_tiff: Callable[..., bytes], refusal: Callable[..., str], tags: dict[int, Any], reason: str
) -> None:
    """What programs seldom write is named as well."""
    assert reason in refusal(raw_tiff(bytes(200), tags))


def test_fault_48_zstandard_is_read_in_full(photos: Path) -> None:
    """Pillow's libtiff has Zstandard in most builds."""
    PIL.Image.fromarray(GRAY).save(photos / "a.tif", compression="zstd")
    try:
        codecs.check(50000)
    except RefusalError:
        pytest.skip("no Zstandard here")
    check(photos / "a.tif", GRAY)


def test_fault_48_without_zstandard_the_package_is_named(
    photos: Path, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a build of Pillow without Zstandard, on a machine without imagecodecs."""

    def fails(*_: object) -> list[bytes]:
        raise RefusalError("is damaged")

    def is_missing(name: str) -> Any:
        raise ImportError(name)

    PIL.Image.fromarray(GRAY).save(photos / "a.tif", compression="zstd")
    codecs._zstd.cache_clear()
    monkeypatch.setattr(codecs, "_by_libtiff", fails)
    monkeypatch.setattr(codecs.importlib, "import_module", is_missing)
    try:
        assert "needs the package imagecodecs: pip install imagecodecs" in refusal()
    finally:
        codecs._zstd.cache_clear()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["TIFF", "JPEG", "PNG", "WEBP"])
def test_fault_48_orientation_tags_are_applied_in_no_format(photos: Path, file_format: str, orientation: int) -> None:
    """The rows are read as the file has them, in TIFF, JPEG, PNG and WebP alike."""
    exif = PIL.Image.Exif()
    exif[274] = orientation
    path = photos / "a.png"
    PIL.Image.fromarray(RGB).save(path, format=file_format, exif=exif, lossless=True)
    plain = io.BytesIO()
    PIL.Image.fromarray(RGB).save(plain, format=file_format, lossless=True)
    stored = np.asarray(PIL.Image.open(plain))
    assert np.array_equal(images.read_image(path), in_unit_range(stored))

"""Reading and writing image files: full depth, or refused in one line that names the file."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from mdnbench.data import images
from mdnbench.errors import BadImage

RNG = np.random.default_rng(7)
GRAY8 = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
RGB8 = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
GRAY16 = RNG.integers(0, 65536, (20, 30), dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)


def png(width: int, height: int, bits: int, colour: int, rows: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG file written chunk by chunk, so that its header may claim anything."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


def png16(pixels: np.ndarray) -> bytes:
    """A 16-bit PNG, gray or RGB."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return png(pixels.shape[1], pixels.shape[0], 16, 2 if pixels.ndim == 3 else 0, rows)


def pillow(mode: str, file_format: str = "PNG", **options: object) -> bytes:
    """A file that Pillow writes in the given mode."""
    base = PIL.Image.fromarray(RGB8)
    image = base.convert("RGBA").convert(mode) if mode in ("LA", "RGBA") else base.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def tiff(pixels: np.ndarray) -> bytes:
    """A TIFF file of an array."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format="TIFF")
    return buffer.getvalue()


def frames() -> bytes:
    """A TIFF of two pages."""
    buffer = io.BytesIO()
    page = PIL.Image.fromarray(GRAY8)
    page.save(buffer, format="TIFF", save_all=True, append_images=[page])
    return buffer.getvalue()


def refusal(path: Path) -> str:
    """The message with which a file is refused, checked to be one line that names the file and what is allowed."""
    with pytest.raises(BadImage) as caught:
        images.read_image(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    assert "Allowed: gray or RGB" in message
    return message


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("pixels", [GRAY8, RGB8], ids=["gray", "rgb"])
def test_eight_bits_are_divided_by_255(tmp_path: Path, file_format: str, pixels: np.ndarray) -> None:
    """Every lossless format gives the stored 8-bit values over 255, as float32."""
    path = tmp_path / "image.any"
    PIL.Image.fromarray(pixels).save(path, format=file_format)
    image = images.read_image(path)
    assert image.dtype == np.float32
    assert image.shape == pixels.shape
    assert np.array_equal(image, pixels.astype(np.float32) / 255)
    assert images.channels(path) == (1 if pixels.ndim == 2 else 3)


def test_jpeg_is_read_as_pillow_decodes_it(tmp_path: Path) -> None:
    """A JPEG gives the decoder's 8-bit values."""
    path = tmp_path / "photo.jpg"
    PIL.Image.fromarray(RGB8).save(path, quality=90)
    with PIL.Image.open(path) as decoded:
        assert np.array_equal(images.read_image(path), np.asarray(decoded).astype(np.float32) / 255)


@pytest.mark.parametrize("pixels", [GRAY16, RGB16], ids=["gray", "rgb"])
def test_fault_24_sixteen_bit_png_is_read_in_full(tmp_path: Path, pixels: np.ndarray) -> None:
    """All 16 bits of each channel arrive, gray and RGB alike."""
    path = tmp_path / "deep.png"
    path.write_bytes(png16(pixels))
    assert np.array_equal(images.read_image(path), pixels.astype(np.float32) / np.float32(65535))
    assert images.channels(path) == (1 if pixels.ndim == 2 else 3)


def test_sixteen_bit_gray_tiff_is_read_in_full(tmp_path: Path) -> None:
    """A 16-bit gray TIFF keeps all its bits."""
    path = tmp_path / "deep.tif"
    path.write_bytes(tiff(GRAY16))
    assert np.array_equal(images.read_image(path), GRAY16.astype(np.float32) / np.float32(65535))


def test_float_tiff_in_range_is_taken_as_it_is(tmp_path: Path) -> None:
    """Float pixels in [0, 1] are not scaled again."""
    pixels = RNG.random((9, 8), dtype=np.float32)
    path = tmp_path / "float.tif"
    path.write_bytes(tiff(pixels))
    assert np.array_equal(images.read_image(path), pixels)


def test_fault_23_a_header_of_ten_gigapixels_is_refused_before_decoding(tmp_path: Path) -> None:
    """The claim alone is enough, in milliseconds and without the memory."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(100_000, 100_000, 8, 0))
    assert "claims 100000×100000 pixels" in refusal(path)
    with pytest.raises(BadImage, match="10000 megapixels"):
        images.channels(path)


NAN = np.full((4, 4), np.nan, dtype=np.float32)
TRANSPARENT = struct.pack(">I", 2) + b"tRNS\0\0" + struct.pack(">I", zlib.crc32(b"tRNS\0\0"))
BAD = {
    "palette": (pillow("P"), "palette"),
    "one-bit": (pillow("1"), "1 bit"),
    "gray-alpha": (pillow("LA"), "gray with an alpha channel"),
    "rgb-alpha": (pillow("RGBA"), "RGB with an alpha channel"),
    "transparent-colour": (png(1, 1, 8, 0, b"\0\7", TRANSPARENT), "transparent colour"),
    "cmyk": (pillow("CMYK", "JPEG"), "CMYK"),
    "gif": (pillow("P", "GIF"), "not an image file that is known"),
    "nan": (tiff(NAN), "NaN"),
    "range": (tiff(np.full((4, 4), 200, dtype=np.float32)), "values from 200 to 200"),
    "integers": (tiff(np.ones((4, 4), dtype=np.int32)), "32-bit whole numbers"),
    "jpeg-in-tiff": (pillow("RGB", "TIFF", compression="jpeg"), "JPEG compression"),
    "pages": (frames(), "2 pictures"),
    "no-width": (png(0, 5, 8, 0), "no pixels"),
    "no-height": (png(5, 0, 8, 0), "no pixels"),
    "empty": (b"", "is empty"),
    "random": (RNG.bytes(500), "not an image file"),
    "text": (b"<svg></svg>", "not an image file"),
    "magic-alone": (b"\x89PNG\r\n\x1a\n", "damaged"),
    "truncated-png": (png16(GRAY16)[:600], "damaged"),
    "truncated-tiff": (tiff(GRAY8)[:300], "damaged"),
    "truncated-jpeg": (pillow("RGB", "JPEG")[:300], "damaged"),
    "truncated-bmp": (pillow("RGB", "BMP")[:300], "damaged"),
}


@pytest.mark.parametrize("kind", BAD)
def test_fault_24_what_is_not_scored_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    """Each odd file is refused in one line that says what was found."""
    content, found = BAD[kind]
    path = tmp_path / f"{kind}.png"
    path.write_bytes(content)
    assert found in refusal(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A missing file and a folder are refused like any other file, without a traceback."""
    assert "No such file" in refusal(tmp_path / "none.png")
    assert "cannot be read" in refusal(tmp_path)


def test_a_hostile_file_name_stays_on_one_line(tmp_path: Path) -> None:
    """A line break in a file's name is shown escaped."""
    path = tmp_path / "a\nb[red].png"
    path.write_bytes(b"nothing")
    with pytest.raises(BadImage) as caught:
        images.read_image(path)
    assert "a\\nb[red].png" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["png", "png16", "tiff", "jpeg", "bmp"])
def test_damaged_bytes_never_raise_anything_else(tmp_path: Path, kind: str) -> None:
    """A hundred random corruptions of each format are read or refused, never a traceback or a warning."""
    whole = {
        "png": pillow("RGB"),
        "png16": png16(RGB16),
        "tiff": tiff(GRAY16),
        "jpeg": pillow("RGB", "JPEG"),
        "bmp": pillow("RGB", "BMP"),
    }[kind]
    rng = np.random.default_rng(1)
    path = tmp_path / "fuzzed.png"
    for _ in range(100):
        content = bytearray(whole[: rng.integers(len(whole) // 2, len(whole) + 1)])
        for place in rng.integers(0, min(len(content), 200), 4):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        with contextlib.suppress(BadImage):
            image = images.read_image(path)
            assert image.dtype == np.float32
            assert 0 <= image.min() <= image.max() <= 1


@pytest.mark.parametrize("pixels", [GRAY8, RGB8], ids=["gray", "rgb"])
def test_writing_loses_nothing(tmp_path: Path, pixels: np.ndarray) -> None:
    """What was read from 8 bits comes back from a written PNG bit for bit."""
    image = pixels.astype(np.float32) / 255
    images.write_png(tmp_path / "out.png", image)
    assert np.array_equal(images.read_image(tmp_path / "out.png"), image)


def test_writing_clamps_and_rounds(tmp_path: Path) -> None:
    """Values outside [0, 1] are clamped and the rest goes to the nearest level."""
    images.write_png(tmp_path / "out.png", np.array([[-0.2, 1.7, 0.5019, 0.5021]], dtype=np.float32))
    assert (images.read_image(tmp_path / "out.png") * 255).round().tolist() == [[0, 255, 128, 128]]


@pytest.mark.parametrize("bad", [np.zeros((2, 2, 4)), np.zeros((0, 2)), np.zeros(3), np.full((2, 2), np.nan)])
def test_what_is_no_image_is_not_written(tmp_path: Path, bad: np.ndarray) -> None:
    """Wrong shapes and NaN are refused before a file exists."""
    with pytest.raises(BadImage):
        images.write_png(tmp_path / "out.png", bad.astype(np.float32))
    assert not (tmp_path / "out.png").exists()


def test_gray_follows_bt601() -> None:
    """The weights are MATLAB's, gray passes unchanged, and white stays white."""
    pure = np.eye(3, dtype=np.float32)[None]  # one red, one green, one blue pixel
    assert images.to_gray(pure) == pytest.approx(np.array([[0.2989, 0.5870, 0.1140]]), abs=5e-5)
    assert images.to_gray(np.ones((1, 1, 3), dtype=np.float32))[0, 0] == pytest.approx(1, abs=1e-6)
    gray = GRAY8.astype(np.float32) / 255
    assert images.to_gray(gray) is gray
    assert images.to_gray(np.ones((2, 2, 3), dtype=np.float32)).dtype == np.float32


def test_importing_the_module_is_light() -> None:
    """Neither NumPy nor Pillow is imported before an image is read."""
    code = "import sys, mdnbench.data.images; print(sorted({'numpy', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

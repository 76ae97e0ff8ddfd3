"""Image files of every size, mode and depth, whole, cut short, altered or random: read in full, or refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import tifffile
from hypothesis import strategies as st

from mdnbench.data import folders, images

FORMATS = ("PNG", "PNG", "TIFF", "TIFF", "TIFF", "JPEG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TGA")
MODES = ("1", "L", "L", "P", "LA", "RGB", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16", "PA")
OPTIONS: tuple[dict[str, Any], ...] = (
    {}, {}, {}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "packbits"},
    {"compression": "jpeg"}, {"bits": 2}, {"transparency": 0}, {"progressive": True},
    {"big_tiff": True}, {"save_all": True},
)  # fmt: skip


def painted(mode: str, width: int, height: int, seed: int) -> PIL.Image.Image:
    """A picture of noise in a mode of Pillow's."""
    noise = np.random.default_rng(seed)
    if mode == "F":
        return PIL.Image.fromarray(noise.normal(0.5, 0.3, (height, width)).astype(np.float32))
    if mode in ("I", "I;16"):
        kind = np.int32 if mode == "I" else np.uint16
        return PIL.Image.fromarray(noise.integers(0, 65536, (height, width)).astype(kind))
    colours = PIL.Image.fromarray(noise.integers(0, 256, (height, width, 3), dtype=np.uint8))
    if mode == "LAB":
        return PIL.Image.merge("LAB", colours.split())
    return colours.convert("P").convert("PA") if mode == "PA" else colours.convert(mode)


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """What Pillow or OpenCV writes, in nearly any format, mode and depth."""
    width, height, seed = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.integers(0, 9))
    if draw(st.integers(0, 4)) == 0:
        shape = draw(st.sampled_from([(height, width), (height, width, 3), (height, width, 4)]))
        deep = np.random.default_rng(seed).integers(0, 65536, shape, dtype=np.uint16)
        return bytes(cv2.imencode(draw(st.sampled_from([".png", ".tif"])), deep)[1])
    buffer = io.BytesIO()
    picture, options = painted(draw(st.sampled_from(MODES)), width, height, seed), draw(st.sampled_from(OPTIONS))
    try:
        picture.save(buffer, format=draw(st.sampled_from(FORMATS)), **options)
    except Exception:  # Pillow cannot write every mode in every format
        picture.convert("RGB").save(buffer, format="PNG")
    return buffer.getvalue()


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A written file, whole, cut short, or with bytes altered, most of them in its header."""
    content, damage = bytearray(draw(written())), draw(st.sampled_from(["none", "cut", "bytes"]))
    if damage == "cut":
        content = content[: draw(st.integers(0, len(content)))]
    elif damage == "bytes":
        reach = draw(st.sampled_from([40, 400, 10**6]))
        for place, byte in draw(
            st.lists(st.tuples(st.integers(0, reach), st.integers(0, 255)), min_size=1, max_size=4)
        ):
            content[place % len(content)] = byte
    return bytes(content)


def taken_or_refused(attempt: Any, path: Path, content: bytes) -> Any:
    """The image of this content, sound and as its header announced it; None if it is refused, in one line."""
    path.write_bytes(content)
    image, refusal = attempt(images.read_image, path)
    if refusal:
        assert str(path) in refusal
        assert refusal.isprintable()
        return None
    assert image.dtype == np.float32
    assert image.ndim == (2 if images.channels(path) == 1 else 3)
    assert min(image.shape) >= 1
    assert 0 <= image.min() <= image.max() <= 1
    return image


def test_image_files(fuzz: Any, attempt: Any, workspace: Path) -> None:
    """Float32 in [0, 1] of the size that was announced, or one line that names the file."""
    folder = workspace / "photos"
    folder.mkdir()
    path, taken = folder / "photo.png", []

    def check(content: bytes) -> None:
        image = taken_or_refused(attempt, path, content)
        if image is None:
            return
        taken.append(images.channels(path))
        assert np.array_equal(folders.folder_dataset(folder).load("photo"), image)

    fuzz(check, 150, content=st.one_of(files(), files(), files(), st.binary(max_size=200)))
    assert {1, 3} <= set(taken)


TIFF_OPTIONS: tuple[dict[str, Any], ...] = (
    {}, {}, {"bigtiff": True}, {"byteorder": ">"}, {"rowsperstrip": 3}, {"tile": (16, 16)}, {"compression": "zlib"},
    {"compression": "lzma", "rowsperstrip": 5}, {"compression": "zlib", "tile": (16, 32)}, {"imagej": True},
    {"ome": True}, {"photometric": "miniswhite"}, {"photometric": "rgb", "planarconfig": "separate"},
    {"extratags": [(274, "H", 1, 6, True)]}, {"truncate": True}, {"extrasamples": ["unspecified"]},
)  # fmt: skip
TIFF_TYPES = ("u1", "u1", "u2", "u2", "f4", "f8", "f2", "i1", "i2", "u4", "?", "c8")


@st.composite
def tiffs(draw: st.DrawFn) -> bytes:
    """What tifffile writes, of any kind of values and layout, whole, cut short, or with bytes of its tags altered."""
    shape = (draw(st.integers(1, 40)), draw(st.integers(1, 40)), *draw(st.sampled_from([(), (), (3,), (2,), (4,)])))
    noise = np.random.default_rng(draw(st.integers(0, 9)))
    pixels = (noise.random(shape) * draw(st.sampled_from([1, 1, 255]))).astype(draw(st.sampled_from(TIFF_TYPES)))
    buffer = io.BytesIO()
    try:
        tifffile.imwrite(buffer, pixels, **draw(st.sampled_from(TIFF_OPTIONS)))
    except Exception:  # tifffile cannot write every kind in every layout
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, (noise.random(shape[:2]) * 255).astype(np.uint8))
    content, damage = bytearray(buffer.getvalue()), draw(st.sampled_from(["none", "cut", "bytes", "bytes"]))
    if damage == "cut":
        content = content[: draw(st.integers(0, len(content)))]
    elif damage == "bytes":
        for place, byte in draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4)):
            content[place % len(content)] = byte
    return bytes(content)


def test_tiff_files(fuzz: Any, attempt: Any, workspace: Path, capfd: Any) -> None:
    """Read in full or refused in one line, whatever tags say; nothing else is printed."""
    path, taken = workspace / "photo.tif", []

    def check(content: bytes) -> None:
        image = taken_or_refused(attempt, path, content)
        if image is None:
            return
        taken.append(images.channels(path))
        with tifffile.TiffFile(path) as whole:
            assert image.size == whole.pages.first.size

    for pixels in (np.zeros((16, 16), np.uint8), np.zeros((16, 16, 3), np.uint8)):
        tifffile.imwrite(buffer := io.BytesIO(), pixels)
        check(buffer.getvalue())
    fuzz(check, 150, content=tiffs())
    assert len(taken) > 2
    assert {1, 3} <= set(taken)
    assert capfd.readouterr() == ("", "")


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=40)


def test_names_of_image_files(fuzz: Any, mdnbench: Any, stored: Path, unchanged: Any, workspace: Path) -> None:
    """A folder and an image in it may be called anything at all: it is planned, or refused in one line."""
    sound = io.BytesIO()
    painted("L", 16, 16, 0).save(sound, format="PNG")

    def check(folder: str, name: str, number: int) -> None:
        base = workspace / f"{number}{folder}"
        try:
            base.mkdir(exist_ok=True)
            (base / f"{name}.png").write_bytes(sound.getvalue())
        except OSError:  # too long for this file system
            return
        with unchanged(stored):
            mdnbench("plan", "--dataset", base, "--methods", "noisy", "--sigma", 50, "--metrics", "psnr")

    fuzz(check, 15, folder=NAMES, name=NAMES, number=st.integers(0, 10**9))

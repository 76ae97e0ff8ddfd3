"""Faults 48 and 50: what is no file, changes meanwhile or never ends, and formats other than TIFF."""

from __future__ import annotations

import io
import os
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from mdnbench.data import folders, images, pillow_formats
from mdnbench.errors import BadImage
from mdnbench.util import limits, untrusted

Refusal = Callable[..., str]
RNG = np.random.default_rng(50)
GRAY = RNG.integers(0, 256, (40, 60), dtype=np.uint8)
RGB = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)


def saved(pixels: np.ndarray, file_format: str, **options: Any) -> bytes:
    """What Pillow writes."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format=file_format, **options)
    return buffer.getvalue()


# -- what is no file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [images.read_image, images.channels])
def test_fault_48_a_pipe_or_a_device_is_never_waited_for(photos: Path, read: Callable[[Path], Any]) -> None:
    """A pipe that nobody writes to and a device that never ends are refused at once."""
    os.mkfifo(photos / "a.tif")
    (photos / "link.tif").symlink_to("/dev/zero")
    begun = time.monotonic()
    kinds = {photos / "a.tif": "a pipe", photos / "link.tif": "a device", Path("/dev/zero"): "a device"}
    for path, kind in kinds.items():
        with pytest.raises(BadImage, match=f"cannot be read: it is {kind}, not a file"):
            read(path)
    assert time.monotonic() - begun < 5


def test_fault_48_pipes_in_a_folder_are_no_images(photos: Path) -> None:
    """They are left alone like folders inside."""
    os.mkfifo(photos / "a.png")
    (photos / "b.png").write_bytes(saved(GRAY, "PNG"))
    assert folders.folder_dataset(photos).images == ("b",)


def test_fault_48_a_file_that_changes_while_it_is_read(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the old picture and half of the new are not read as one."""
    path = photos / "a.png"
    path.write_bytes(saved(GRAY, "PNG"))
    read = pillow_formats.read

    def slow(*arguments: Any, **options: Any) -> Any:
        found = read(*arguments, **options)
        path.write_bytes(saved(RGB, "PNG"))
        return found

    monkeypatch.setattr(pillow_formats, "read", slow)
    with pytest.raises(BadImage, match="changed while it was read"):
        images.read_image(path)


def test_fault_48_a_file_that_is_too_large(photos: Path, refusal: Refusal) -> None:
    """A sparse file of 5 GB is refused by its size alone."""
    with (photos / "a.tif").open("wb") as file:
        file.write(b"II*\0")
        file.truncate(limits.MAX_IMAGE_BYTES + 1)
    assert "4,294,967,297 bytes, and at most 4,294,967,296 are read" in refusal()


def again_and_again(path: Path) -> None:
    """Read a file until it is refused."""
    for _ in range(10_000):
        untrusted.read_bytes(path, 100_000)


def test_fault_48_a_growing_file_is_read_no_further(workspace: Path) -> None:
    """What grows while it is read ends at the limit."""
    path = workspace / "grows"
    path.write_bytes(bytes(10))
    stop = threading.Event()

    def grow() -> None:
        while not stop.is_set():
            with path.open("ab") as file:
                file.write(bytes(1000))

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        with pytest.raises(OSError, match=r"changed while it was read|at most 100,000"):
            again_and_again(path)
    finally:
        stop.set()
        thread.join()


# -- progressive JPEG ------------------------------------------------------------------------------------------------


def progressive(extra_scans: int, side: int = 256) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    content = saved(RNG.integers(0, 256, (side, side), dtype=np.uint8), "JPEG", progressive=True)
    last = content[content.rfind(b"\xff\xda") : -2]
    return content[:-2] + last * extra_scans + b"\xff\xd9"


@pytest.mark.parametrize(("extra", "side"), [(300, 256), (300, 16), (10_000, 16), (70, 1000)])
def test_fault_50_a_progressive_jpeg_of_300_extra_scans(photos: Path, refusal: Refusal, extra: int, side: int) -> None:
    """It is refused before it is decoded, with the number of scans and the limit."""
    content = progressive(extra, side)
    begun = time.monotonic()
    assert "is a JPEG of 65 scans or more" in refusal(content, "a.jpg")
    assert time.monotonic() - begun < 5


def test_fault_50_large_pictures_have_fewer_scans(photos: Path, refusal: Refusal) -> None:
    """Scans times pixels are what a decoder works through."""
    content = bytearray(progressive(40, 16))
    frame = content.index(b"\xff\xc2")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 10_000, 9_000)
    assert "1,500 megapixels over all scans" in refusal(bytes(content), "a.jpg")


def test_fault_50_a_usual_progressive_jpeg_is_read(photos: Path) -> None:
    """Ten scans are no attack, nor are those of a preview inside."""
    for pixels in (GRAY, RGB):
        (photos / "a.jpg").write_bytes(saved(pixels, "JPEG", progressive=True, quality=95))
        with PIL.Image.open(photos / "a.jpg") as decoded:
            expected = np.asarray(decoded).astype(np.float32) / np.float32(255)
        assert np.array_equal(images.read_image(photos / "a.jpg"), expected)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xd8" + b"\xff" * 50_000_000 + b"\xda", "bytes of padding in one place"),
        (b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000, "more than 20,000 marker segments"),
        (b"\xff\xd8\xff\xe0\0\2" + b"\xff\x01" * 1_000_000, "more than 20,000 marker segments"),
        (b"\xff\xd8\xff\xe0\0\2" + b"\xff\0" * 1_000_000, "is damaged"),
    ],
    ids=["padding", "comments", "empty markers", "pixels"],
)
def test_fault_50_a_jpeg_that_is_slow_to_parse(photos: Path, refusal: Refusal, content: bytes, reason: str) -> None:
    """Pillow takes markers and padding byte by byte in Python."""
    begun = time.monotonic()
    assert reason in refusal(content, "a.jpg")
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [(4, 12, "a JPEG of 12 bits a channel"), (1, 0xC3, "lossless"), (1, 0xC9, "arithmetic"), (9, 2, "2 channels")],
)
def test_fault_48_rare_jpegs_are_not_called_damaged(refusal: Refusal, place: int, value: int, reason: str) -> None:
    """What Pillow cannot read is named for what it is."""
    content = bytearray(saved(GRAY, "JPEG"))
    content[content.index(b"\xff\xc0") + place] = value
    said = refusal(bytes(content), "a.jpg")
    assert reason in said
    assert "damaged" not in said


# -- WebP, PNM and BMP -----------------------------------------------------------------------------------------------


def test_fault_48_webp_is_read_in_full(photos: Path, refusal: Refusal) -> None:
    """Lossless WebP gives its values; alpha, animations and huge claims are refused from the header."""
    path = photos / "a.webp"
    path.write_bytes(saved(RGB, "WEBP", lossless=True))
    assert np.array_equal(images.read_image(path), RGB.astype(np.float32) / 255)
    assert images.channels(path) == 3
    faint = np.dstack([RGB, GRAY])
    for lossless in (False, True):
        assert "alpha channel" in refusal(saved(faint, "WEBP", lossless=lossless), path.name)
    moving = saved(RGB, "WEBP", save_all=True, append_images=[PIL.Image.fromarray(255 - RGB)])
    assert "is animated" in refusal(moving, path.name)
    huge = bytearray(saved(faint, "WEBP"))
    huge[24:30] = b"\xfe\xff\xff\xfe\x3f\0"
    assert "claims 16777215×16383 pixels" in refusal(bytes(huge), path.name)
    assert "no WebP header" in refusal(bytes(huge[:14]), path.name)


@pytest.mark.parametrize("top", [1, 100, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("plain", [False, True])
def test_fault_48_pnm_is_read_in_full_whatever_its_largest_value(
    photos: Path, top: int, channels: int, plain: bool
) -> None:
    """The header's largest value is white: no bits are lost, and nothing is scaled by guess."""
    shape = (5, 7) if channels == 1 else (5, 7, 3)
    pixels = RNG.integers(0, top + 1, shape).astype(np.uint16)
    kind = {(1, True): 2, (3, True): 3, (1, False): 5, (3, False): 6}[channels, plain]
    header = f"P{kind}\n# a comment\n7 5 # and one more\n{top}\n".encode()
    body = pixels.astype("u1" if top < 256 else ">u2").tobytes()
    text = " ".join(map(str, pixels.ravel())).encode()
    (photos / "a.pnm").write_bytes(header + (text if plain else body))
    assert np.array_equal(images.read_image(photos / "a.pnm"), pixels.astype(np.float32) / np.float32(top))
    assert images.channels(photos / "a.pnm") == channels


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"P4 8 1\n\0", "has 1 bit a pixel"),
        (b"P1 1 1\n1", "has 1 bit a pixel"),
        (b"P7\nWIDTH 1\n", "is a PAM file"),
        (b"Pf 1 1 -1\n" + bytes(4), "is a PFM file"),
        (b"P5 2 2 255\n" + bytes(4) + b"P5 2 2 255\n" + bytes(4), "holds more than one picture"),
        (b"P5 2 2 255\n" + bytes(3), "has 3 bytes of pixels, and needs 4"),
        (b"P5 2 2 100\n\xff\xff\xff\xff", "has a value of 255, and its header allows 100"),
        (b"P5 2 2 70000\n" + bytes(8), "the largest value that its header allows is 70000"),
        (b"P5 0 2 255\n", "has no pixels"),
        (b"P6 100000 100000 255\n", "claims 100000×100000 pixels"),
        (b"P3 3000 3000 255\n1 2 3", "is a plain PNM of 3000×3000 pixels"),
        (b"P2 2 1 255\n1 -2", "something other than whole numbers"),
        (b"P2 2 1 255\n1", "has 1 values, and needs 2"),
        (b"P2 2 1 255\n1" + b" " * 1000 + b"2", "more than 16 characters a number"),
        (b"P5 " + b"#" * 10_000, "PNM header is not complete"),
    ],
)
def test_fault_48_odd_pnm_files_are_refused(refusal: Refusal, content: bytes, reason: str) -> None:
    """Each with its reason."""
    assert reason in refusal(content, "a.pgm")


def test_fault_50_a_run_length_bmp_is_not_expanded_in_python_for_minutes(refusal: Refusal) -> None:
    """Pillow would take its runs one by one."""
    colours = b"".join(bytes([level, level, level, 0]) for level in range(256))
    head = struct.pack("<IiiHHIIiiII", 40, 9000, 9000, 1, 8, 1, 4, 0, 0, 256, 0)
    content = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + head + colours + b"\1\0\0\1"
    assert "run-length BMP of 9000×9000 pixels" in refusal(content, "a.bmp")


def test_fault_48_a_bmp_of_an_unsupported_kind_is_not_called_damaged(refusal: Refusal) -> None:
    """A BMP may hold a JPEG."""
    content = bytearray(saved(RGB, "BMP"))
    content[30:34] = struct.pack("<I", 4)
    said = refusal(bytes(content), "a.bmp")
    assert "is not read here: Unsupported BMP compression" in said


def test_fault_48_a_jpeg_of_several_views_is_no_one_picture(photos: Path, refusal: Refusal) -> None:
    """A stereo pair in one file (MPO) is two pictures; a preview beside its picture is not."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(RGB).save(buffer, format="MPO", save_all=True, append_images=[PIL.Image.fromarray(255 - RGB)])
    content = buffer.getvalue()
    (photos / "a.jpg").write_bytes(content)
    assert images.channels(photos / "a.jpg") == 3  # Pillow writes the kind 'undefined', as cameras do for gain maps
    start = content.index(b"MPF\0") + 4
    (entries,) = struct.unpack_from("<I", content, start + 8 + 2 + 2 * 12 + 8)  # the value of the third tag
    entries += start
    stereo = bytearray(content)
    stereo[entries + 16 : entries + 20] = struct.pack("<I", 0x020002)
    assert "holds 2 pictures" in refusal(bytes(stereo), "a.jpg")

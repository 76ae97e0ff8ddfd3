"""Fault 49: a run on images of more than 8 bits says which range was assumed, and what rounding costs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile

from mdnbench import api

Y, X = np.mgrid[0:64, 0:64]
SCENE12 = ((np.sin(X / 9) + np.cos(Y / 6)) * 1000 + 2047).round().astype(np.uint16)
SCENE12[0, 0] = 4095
SCENE16 = (SCENE12 * 16 + np.random.default_rng(0).integers(0, 16, SCENE12.shape)).astype(np.uint16)
ASSUMED, DARK, ROUNDED = "values are divided by 65535", "times too dark", "rounds outputs to 8 bits"


def notes(folder: Path, **keys: Any) -> str:
    """The notes of a plan on a folder."""
    usual: dict[str, Any] = {"methods": "noisy", "sigma": 25, "metrics": "psnr"}
    return "\n".join(api.plan(dataset=str(folder), **usual | keys).notes)


def written(folder: Path, *images: np.ndarray) -> Path:
    """A folder with these images as PNG."""
    for number, pixels in enumerate(images):
        PIL.Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_fault_49_12_bits_in_16_are_noted_with_what_follows(photos: Path) -> None:
    """The largest value, the bits that it suggests, and the factors for sigma and PSNR."""
    said = notes(written(photos, SCENE12))
    for part in (
        "1 image of 16 bits", ASSUMED, "(sigma 25 is 6,425)", "The largest value found in '0' is 4095",
        "if this is 12-bit data, everything is 16 times too dark", "(sigma 25 acts as 400)", "24.1 dB too high",
        "65535/4095", ROUNDED, "58.9 dB", "0.29 on the 0-255 scale",
    ):  # fmt: skip
        assert part in said


def test_fault_49_what_the_note_says_is_so(photos: Path) -> None:
    """An output equal to the clean image has the PSNR that the note names, and infinity without rounding."""
    written(photos, SCENE16)
    for protocol, expected in (("standard", 10 * math.log10(12 * 255**2)), ("float", math.inf)):
        found = api.run(
            methods=["noisy"], sigma=0, dataset=str(photos), metrics=["psnr"], protocol=protocol, timing=False, jobs=1,
        )  # fmt: skip
        (row,) = found.rows()
        assert row.value("psnr") == pytest.approx(expected, abs=0.3)
        shown = "\n".join(found.run.facts.notes)
        assert (ROUNDED in shown) == (protocol == "standard")
        assert ASSUMED in shown


@pytest.mark.parametrize(("bits", "factor"), [(8, 257), (10, 64), (12, 16), (14, 4)])
def test_fault_49_other_depths_in_16_bits(photos: Path, bits: int, factor: int) -> None:
    """Sensors of 10, 12 and 14 bits, and 8-bit values in a deep file."""
    said = notes(written(photos, (SCENE16 >> (16 - bits)).astype(np.uint16)))
    assert f"if this is {bits}-bit data, everything is {factor} {DARK}" in said


def test_fault_49_one_dark_image_among_others_is_found(photos: Path) -> None:
    """The range is judged image by image."""
    said = notes(written(photos, SCENE16, SCENE12, SCENE16))
    assert "3 images of 16 bits" in said
    assert "The largest value found in '1' is 4095" in said


def test_fault_49_the_whole_range_is_not_called_dark(photos: Path) -> None:
    """Sixteen bits that fill their range have no such note, only that of rounding."""
    said = notes(written(photos, SCENE16))
    assert ASSUMED in said
    assert DARK not in said
    assert ROUNDED in said


@pytest.mark.parametrize("ending", ["tif", "pgm"])
def test_fault_49_tiff_and_pnm_are_noted_as_well(photos: Path, ending: str) -> None:
    """A PNM of 12 bits declares its range: nothing is dark, but it is rounded."""
    if ending == "tif":
        tifffile.imwrite(photos / "a.tif", SCENE12)
    else:
        (photos / "a.pgm").write_bytes(b"P5 64 64 4095\n" + SCENE12.astype(">u2").tobytes())
    said = notes(photos)
    assert (DARK in said) == (ending == "tif")
    assert ROUNDED in said


@pytest.mark.parametrize("protocol", ["standard", "float", "clipped"])
def test_fault_49_eight_bits_have_no_note(photos: Path, protocol: str) -> None:
    """Nothing is assumed and nothing is lost."""
    assert notes(written(photos, (SCENE12 >> 4).astype(np.uint8)), protocol=protocol) == ""


def test_fault_49_the_note_names_what_a_protocol_rounds(photos: Path) -> None:
    """Where the noisy image is rounded too, the note says so; under `float` there is no such note."""
    written(photos, SCENE16)
    assert "rounds noisy images and outputs to 8 bits" in notes(photos, protocol="clipped")
    assert "rounds" not in notes(photos, protocol="float").replace("'float'", "")


def test_fault_49_turned_gray_or_without_sigma(photos: Path) -> None:
    """Colour turned gray keeps its bits, and a noise without sigma has no example."""
    tifffile.imwrite(photos / "a.tif", np.dstack([SCENE16] * 3), photometric="rgb")
    said = notes(photos, gray=True, sigma=(), noise="poisson:30")
    assert ASSUMED in said
    assert "(sigma" not in said

"""Crops: cut from where they should be, turned as they may be, and of the right colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage
import torch

from mdnbench.data import images
from mdnbench.errors import UsageError
from mdnbench.training import patches
from mdnbench.training.patches import Patches

CROP = 6


def labelled(height: int, width: int, index: int) -> np.ndarray:
    """A uint8 image (H, W, 3) in which every pixel says its row, its column and its image's index."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, index)], axis=2).astype(np.uint8)


def drawn(source: Patches, batch: int, seed: int = 0) -> np.ndarray:
    """Crops as whole numbers (batch, crop, crop, 3)."""
    clean = source.draw(batch, torch.Generator().manual_seed(seed))
    assert clean.dtype == torch.float32
    return (clean * 255).round().long().permute(0, 2, 3, 1).numpy()


def orientation(crop: np.ndarray) -> tuple[bool, bool, bool]:
    """Whether a labelled crop is upside down, mirrored, transposed; it must be a whole square of one image."""
    rows, columns, index = np.moveaxis(crop, 2, 0)
    transposed = bool(rows[0, 0] == rows[1, 0])
    rows, columns = (rows.T, columns.T) if transposed else (rows, columns)
    down, right = int(rows[1, 0]) - int(rows[0, 0]), int(columns[0, 1]) - int(columns[0, 0])
    assert {abs(down), abs(right)} == {1}
    ramp = np.arange(CROP)
    assert (rows == rows[0, 0] + down * ramp[:, None]).all()
    assert (columns == columns[0, 0] + right * ramp).all()
    assert len(np.unique(index)) == 1
    return down < 0, right < 0, transposed


def test_crops_are_squares_of_the_images_in_all_eight_orientations() -> None:
    """Every crop is one image's own pixels, and every orientation turns up."""
    source = Patches([labelled(20, 33, 0), labelled(41, 9, 1), labelled(CROP, CROP, 2)], CROP, "cpu")
    crops = drawn(source, 300)
    assert len({orientation(crop) for crop in crops}) == 8
    assert set(crops[:, 0, 0, 2]) == {0, 1, 2}


@pytest.mark.parametrize(("flips", "mirrored"), [("none", {False}), ("horizontal", {False, True})])
def test_fewer_flips(flips: str, mirrored: set[bool]) -> None:
    """'none' leaves crops upright, 'horizontal' mirrors some; neither transposes."""
    found = {orientation(crop) for crop in drawn(Patches([labelled(20, 20, 0)], CROP, "cpu", flips), 100)}
    assert found == {(False, each, False) for each in mirrored}


def test_every_corner_is_reached() -> None:
    """Crops come from everywhere, the last row and column included."""
    crops = drawn(Patches([labelled(CROP + 2, CROP + 1, 0)], CROP, "cpu", "none"), 200)
    assert {(int(crop[0, 0, 0]), int(crop[0, 0, 1])) for crop in crops} == {(y, x) for y in range(3) for x in range(2)}


def test_the_generator_alone_decides() -> None:
    """Equal seeds give equal crops."""
    source = Patches([labelled(20, 33, 0)], CROP, "cpu")
    assert (drawn(source, 8, seed=3) == drawn(source, 8, seed=3)).all()
    assert (drawn(source, 8, seed=3) != drawn(source, 8, seed=4)).any()


def test_images_smaller_than_the_crop() -> None:
    """They are left alone; where nothing remains, that is said."""
    assert Patches([labelled(5, 50, 0), labelled(6, 6, 1)], CROP, "cpu").count == 1
    with pytest.raises(UsageError, match="at least 6×6"):
        Patches([labelled(5, 50, 0)], CROP, "cpu")


def test_the_digest_is_of_the_pixels() -> None:
    """One other pixel, another digest."""
    one, other = labelled(8, 8, 0), labelled(8, 8, 0)
    assert Patches([one], CROP, "cpu").digest == Patches([other], CROP, "cpu").digest
    other[3, 3, 0] ^= 1
    assert Patches([one], CROP, "cpu").digest != Patches([other], CROP, "cpu").digest


def test_jitter() -> None:
    """No strength changes nothing, gray stays gray, and what comes out is an image, changed image by image."""
    clean = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    torch.testing.assert_close(patches.jitter(clean, 0.0, generator), clean)
    changed = patches.jitter(clean, 0.5, generator)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert len({round(float(each), 4) for each in (changed - clean).abs().mean((1, 2, 3))}) == 4
    gray = patches.jitter(clean[:, :1].expand(-1, 3, -1, -1), 0.5, generator)
    torch.testing.assert_close(gray[:, 0], gray[:, 2])


def test_pixels_as_bytes_and_copies_made_smaller() -> None:
    """A photograph keeps its bytes in colour, becomes its luma in gray, and is made smaller by the scale."""
    photograph = images.read_image(Path(skimage.__file__).parent / "data" / "coffee.png")
    colour, gray = patches.to_bytes(photograph, 3), patches.to_bytes(photograph, 1)
    assert (colour == np.rint(photograph * 255)).all()
    assert np.abs(gray[..., 0] - colour @ np.array(patches.LUMA)).max() <= 0.51
    assert (patches.to_bytes((gray[..., 0] / 255).astype(np.float32), 3) == gray).all()
    assert patches.rescaled(colour, 1.0) is colour
    small = patches.rescaled(colour, 0.5)
    assert small.shape == (200, 300, 3)
    assert abs(float(small.mean()) - float(colour.mean())) < 1

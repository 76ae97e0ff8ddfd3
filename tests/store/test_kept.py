"""Kept images: whole or absent, written again where they were altered, and refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mdnbench.digests import of_pixels
from mdnbench.errors import StoreError
from mdnbench.registry import load
from mdnbench.store import kept


def test_kept_images_are_whole_or_absent(workspace: Path) -> None:
    """An image is kept under its digest; a file that was altered or cut is not handed out."""
    image = load().datasets["sk12"].load("01")
    digest = of_pixels(image)
    path = kept.keep(workspace / "images", digest, image)
    found = kept.load(workspace / "images", digest)
    assert found is not None
    assert np.array_equal(found, image)
    assert [each.name for each in path.parent.iterdir()] == [f"{digest}.npy"]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert kept.load(workspace / "images", digest) is None
    path.write_bytes(content[:1000])
    assert kept.load(workspace / "images", digest) is None
    assert kept.load(workspace / "images", "0" * 64) is None


def test_an_altered_image_is_written_again(workspace: Path) -> None:
    """Keeping an image anew mends its file; a sound one is left alone."""
    folder, image = workspace / "images", np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    digest = of_pixels(image)
    path = kept.keep(folder, digest, image)
    before = path.stat().st_ino
    kept.keep(folder, digest, image)
    assert path.stat().st_ino == before
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    kept.keep(folder, digest, image)
    found = kept.load(folder, digest)
    assert found is not None
    assert (found == image).all()


def test_an_image_that_cannot_be_kept_is_a_store_error(workspace: Path) -> None:
    """A file where the folder should be is a message, not a crash."""
    (workspace / "images").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be kept"):
        kept.keep(workspace / "images", "ab", np.zeros((2, 2), np.float32))

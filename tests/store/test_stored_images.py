"""Kept images: whole or absent, written again where they were altered, and refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mdnbench.errors import StoreError
from mdnbench.registry import load
from mdnbench.store import stored_images
from mdnbench.util.digests import of_pixels


def test_kept_images_are_whole_or_absent(workspace: Path) -> None:
    """An image is kept under its digest; a file that was altered or cut is not handed out."""
    image = load().datasets["sk12"].load("01")
    digest = of_pixels(image)
    path = stored_images.save(workspace / "images", digest, image)
    found = stored_images.load(workspace / "images", digest)
    assert found is not None
    assert np.array_equal(found, image)
    assert [each.name for each in path.parent.iterdir()] == [f"{digest}.npy"]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert stored_images.load(workspace / "images", digest) is None
    path.write_bytes(content[:1000])
    assert stored_images.load(workspace / "images", digest) is None
    assert stored_images.load(workspace / "images", "0" * 64) is None


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", b"PK\x03\x04 no archive", b"\x93NUMPY\x01\x00v\x00{'descr': (", b"text"]
)
def test_whatever_damage_is_there_it_is_no_image(workspace: Path, content: bytes) -> None:
    """NumPy raises EOFError, TokenError and others; an archive of arrays is none of ours either."""
    folder, image = workspace / "images", np.zeros((3, 4), np.float32)
    path = stored_images.save(folder, of_pixels(image), image)
    path.write_bytes(content)
    assert stored_images.load(folder, of_pixels(image)) is None
    with path.open("wb") as file:
        np.savez(file, image=image)
    assert stored_images.load(folder, of_pixels(image)) is None


def test_an_altered_image_is_written_again(workspace: Path) -> None:
    """Keeping an image anew mends its file; a sound one is left alone."""
    folder, image = workspace / "images", np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    digest = of_pixels(image)
    path = stored_images.save(folder, digest, image)
    before = path.stat().st_ino
    stored_images.save(folder, digest, image)
    assert path.stat().st_ino == before
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    stored_images.save(folder, digest, image)
    found = stored_images.load(folder, digest)
    assert found is not None
    assert (found == image).all()


def test_an_image_that_cannot_be_kept_is_a_store_error(workspace: Path) -> None:
    """A file where the folder should be is a message, not a crash."""
    (workspace / "images").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be stored"):
        stored_images.save(workspace / "images", "ab", np.zeros((2, 2), np.float32))

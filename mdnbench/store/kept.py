"""Kept images: denoised outputs as float32 NumPy files, named by their content, beside the store."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import atomic
from mdnbench.digests import of_pixels
from mdnbench.errors import StoreError

if TYPE_CHECKING:
    from mdnbench.specs import Image


def path_of(folder: Path, digest: str) -> Path:
    """Where the image of this pixel digest is kept."""
    return folder / digest[:2] / f"{digest}.npy"


def keep(folder: Path, digest: str, image: Image) -> Path:
    """Write an image under its pixel digest, whole or not at all; StoreError when the disk says no.

    One that is there stays, unless it is not what its name says any more.
    """
    import numpy as np

    path = path_of(folder, digest)
    if load(folder, digest) is not None:
        return path
    content = io.BytesIO()
    np.save(content, image, allow_pickle=False)  # not to the file: NumPy does not say why a disk takes no more
    try:
        with atomic.replacing(path) as part:
            part.write_bytes(content.getbuffer())
    except OSError as error:
        raise StoreError(f"an image cannot be kept in {folder}: {error.strerror or error}.") from error
    return path


def load(folder: Path, digest: str) -> Image | None:
    """The kept image of this digest, or None where there is none or it is not what its name says."""
    import numpy as np

    path = path_of(folder, digest)
    try:
        with path.open("rb") as file:
            image: Image = np.lib.format.read_array(file, allow_pickle=False)
    except Exception:  # damage raises what it will: EOFError, TokenError, SyntaxError and others
        return None
    return image if of_pixels(image) == digest else None

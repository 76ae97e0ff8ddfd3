"""Stored images: denoised outputs as float32 NumPy files next to the store, named by their content.

The folder may come with a store of unknown origin. It may contain links, pipes and files of any size.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mdnbench.errors import StoreError
from mdnbench.util import atomic, limits, untrusted
from mdnbench.util.digests import of_pixels
from mdnbench.util.limits import MAX_STORED_IMAGE_BYTES

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image


_DIGEST = re.compile("[0-9a-f]{64}")


def is_digest(text: object) -> bool:
    """Return whether a value is a digest of pixels, which can name a stored image."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def is_here(folder: Path, digest: str) -> bool:
    """Return whether there is a file for the image of this digest, without checking its pixels."""
    return is_digest(digest) and path_of(folder, digest).is_file()


def files(folder: Path) -> Iterator[Path]:
    """Yield everything in the folder of stored images that is not a folder, including links and pipes.

    Do not follow links.
    """
    if leads_out(folder.parent, folder):
        return
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def leads_out(workspace: Path, path: Path) -> bool:
    """Return whether a path below a workspace leads to another place, by a link."""
    try:
        return not path.resolve().is_relative_to(workspace.resolve())
    except (OSError, RuntimeError):  # links in a circle
        return True


def path_of(folder: Path, digest: str) -> Path:
    """Return the path of the image of this pixel digest."""
    return folder / digest[:2] / f"{digest}.npy"


def save(folder: Path, digest: str, image: Image) -> Path:
    """Write an image under its pixel digest, atomically, and return its path.

    An existing file stays, unless it was altered.

    Raises:
        StoreError: The image cannot be written.
    """
    import numpy as np

    path = path_of(folder, digest)
    if load(folder, digest) is not None:
        return path
    _require_inside(folder, path)
    content = io.BytesIO()
    np.save(content, image, allow_pickle=False)  # not to the file, because NumPy hides the reason when a disk is full
    try:
        with atomic.replacing(path) as part:
            part.write_bytes(content.getbuffer())
    except OSError as error:
        raise StoreError(f"an image cannot be stored in {folder}: {error.strerror or error}.") from error
    return path


def load(folder: Path, digest: str) -> Image | None:
    """Return the stored image of this digest, or None if there is none or it was altered."""
    import numpy as np

    if not is_digest(digest):
        return None
    try:
        with untrusted.opened(path_of(folder, digest), MAX_STORED_IMAGE_BYTES) as file:
            _check_header(file)
            image: Image = np.lib.format.read_array(file, allow_pickle=False)
    except Exception:  # a damaged file raises EOFError, TokenError, SyntaxError and others
        return None
    return image if of_pixels(image) == digest else None


def _check_header(file: BinaryIO) -> None:
    """Check that a file has as many pixels as its header announces, and no more than allowed, and rewind it.

    Raises:
        ValueError: It does not.
    """
    import numpy as np

    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError("another version than images are stored in")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    size = os.fstat(file.fileno()).st_size - file.tell()
    if dtype.kind != "f" or math.prod(shape) > 3 * limits.MAX_PIXELS or size != math.prod(shape) * dtype.itemsize:
        raise ValueError("another type or size than its pixels have")
    file.seek(0)


def _require_inside(folder: Path, path: Path) -> None:
    """Raise StoreError if a link would lead the image out of the workspace."""
    if leads_out(folder.parent, path.parent):
        raise StoreError(
            f"an image cannot be stored in {folder}: {path.parent} is a link to another place. Remove the link; a link "
            "to the whole workspace is allowed."
        )

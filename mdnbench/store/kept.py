"""Kept images: denoised outputs as float32 NumPy files, named by their content, beside the store.

The folder may come with somebody else's store: it may hold links, pipes and files of any size.
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
from mdnbench.util import atomic, limits, outside
from mdnbench.util.digests import of_pixels

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image


_MOST_BYTES = 3 * 8 * limits.MAX_PIXELS + 1024  # of three channels in float64, with the header
_DIGEST = re.compile("[0-9a-f]{64}")


def is_digest(text: object) -> bool:
    """Whether a value is a digest of pixels, and so a name that a kept image can have."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def is_here(folder: Path, digest: str) -> bool:
    """Whether there is a file for the image of this digest; its pixels are not looked at."""
    return is_digest(digest) and path_of(folder, digest).is_file()


def files(folder: Path) -> Iterator[Path]:
    """Yield whatever is in the folder of kept images and is no folder, links and pipes too; no link is followed."""
    if leads_out(folder.parent, folder):
        return
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def leads_out(workspace: Path, path: Path) -> bool:
    """Whether a path below a workspace is really in another place, by a link."""
    try:
        return not path.resolve().is_relative_to(workspace.resolve())
    except (OSError, RuntimeError):  # links that lead round in a circle
        return True


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
    _require_inside(folder, path)
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

    if not is_digest(digest):
        return None
    try:
        with outside.opened(path_of(folder, digest), _MOST_BYTES) as file:
            _check_header(file)
            image: Image = np.lib.format.read_array(file, allow_pickle=False)
    except Exception:  # damage raises what it will: EOFError, TokenError, SyntaxError and others
        return None
    return image if of_pixels(image) == digest else None


def _check_header(file: BinaryIO) -> None:
    """Check that an image's file holds as many pixels as its header announces, and no more than are allowed.

    The file is at its beginning afterwards. ValueError where it does not.
    """
    import numpy as np

    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError("another version than images are kept in")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    size = os.fstat(file.fileno()).st_size - file.tell()
    if dtype.kind != "f" or math.prod(shape) > 3 * limits.MAX_PIXELS or size != math.prod(shape) * dtype.itemsize:
        raise ValueError("another type or size than its pixels have")
    file.seek(0)


def _require_inside(folder: Path, path: Path) -> None:
    """Check that an image is written below the workspace; StoreError where a link leads elsewhere."""
    if leads_out(folder.parent, path.parent):
        raise StoreError(
            f"an image cannot be kept in {folder}: {path.parent} is a link to another place. Remove the link; a link "
            "to the whole workspace is allowed."
        )

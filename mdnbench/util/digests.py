"""SHA-256 digests: of pixels, of files, and of the parts that make up a key."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image


_as_json = json.JSONEncoder(sort_keys=True).encode  # made once: json.dumps would make one for each of a million keys


def of_pixels(image: Image) -> str:
    """The digest of an image's shape and float32 pixels."""
    import numpy as np

    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image, dtype="<f4").data)
    return digest.hexdigest()


def of_file(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_parts(*parts: object) -> str:
    """The digest of plain values (text, numbers, lists, tables), independent of how tables are ordered."""
    return hashlib.sha256(_as_json(parts).encode()).hexdigest()

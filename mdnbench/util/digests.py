"""Compute SHA-256 digests of pixels, of files, and of the parts of a key."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdnbench.util.arrays import Image


# Created once: json.dumps would create an encoder for each of a million keys.
_as_json = json.JSONEncoder(sort_keys=True).encode


def of_pixels(image: Image) -> str:
    """Return the digest of an image's shape and float32 pixels."""
    import numpy as np

    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image, dtype="<f4").data)
    return digest.hexdigest()


def of_file(path: Path) -> str:
    """Return the digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_parts(*parts: object) -> str:
    """Return the digest of plain values (text, numbers, lists, tables), whatever the order of keys in tables."""
    return hashlib.sha256(_as_json(parts).encode()).hexdigest()

"""Checkpoints: everything that a training needs to go on exactly where it stopped, in one file, written atomically.

The file is what torch.save writes with its SHA-256 behind it: torch itself does not notice a flipped bit.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from mdnbench.errors import WeightsError
from mdnbench.util import atomic

DIGEST_BYTES = hashlib.sha256().digest_size


def tidy(folder: Path) -> None:
    """Remove what writers left behind that were killed while they wrote."""
    for part in folder.glob("*.part"):
        part.unlink(missing_ok=True)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path`; a reader sees the old file or the new one, whole. StoreError on a full disk."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    with atomic.below(path.parent), atomic.replacing(path) as part, part.open("wb") as file:
        file.write(content)
        file.write(hashlib.sha256(content).digest())
        file.flush()
        os.fsync(file.fileno())


def load(path: Path, device: str) -> dict[str, Any] | None:
    """What `save` wrote, or None where there is no file; WeightsError where it is damaged."""
    if not path.is_file():
        return None
    try:
        content = path.read_bytes()
        whole, digest = memoryview(content)[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
        if hashlib.sha256(whole).digest() != digest:
            raise ValueError
        state: dict[str, Any] = torch.load(io.BytesIO(whole), map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        # Not torch's own words, which advise to load the file unsafely.
        message = f"the checkpoint {path} is damaged ({type(error).__name__}); delete it, or train with --from-scratch."
        raise WeightsError(message) from None
    return state

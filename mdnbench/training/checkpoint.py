"""Checkpoints: one file with everything that a training needs to continue exactly where it stopped.

The file is written atomically. It has the format of torch.save, followed by its SHA-256, because torch itself does not
notice a flipped bit.
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
    """Remove the partial files of processes that were killed while they wrote."""
    for part in folder.glob("*.part"):
        part.unlink(missing_ok=True)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically: a reader gets either the whole old file or the whole new one.

    Raises:
        StoreError: The file cannot be written, for example because the disk is full.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    with atomic.below(path.parent), atomic.replacing(path) as part, part.open("wb") as file:
        file.write(content)
        file.write(hashlib.sha256(content).digest())
        file.flush()
        os.fsync(file.fileno())


def load(path: Path, device: str) -> dict[str, Any] | None:
    """Return the state that `save` wrote, or None if there is no file.

    Raises:
        WeightsError: The file is damaged.
    """
    if not path.is_file():
        return None
    try:
        content = path.read_bytes()
        whole, digest = memoryview(content)[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
        if hashlib.sha256(whole).digest() != digest:
            raise ValueError
        state: dict[str, Any] = torch.load(io.BytesIO(whole), map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        # Without torch's own message, which advises to load the file unsafely.
        message = f"the checkpoint {path} is damaged ({type(error).__name__}); delete it, or train with --from-scratch."
        raise WeightsError(message) from None
    return state

"""Checkpoints: everything that a training needs to go on exactly where it stopped, in one file, written atomically."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import IO, Any

import torch

from mdnbench import atomic
from mdnbench.errors import WeightsError


def tidy(folder: Path) -> None:
    """Remove what writers left behind that were killed while they wrote."""
    for part in folder.glob("*.part"):
        part.unlink(missing_ok=True)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path`; a reader sees the old file or the new one, whole. StoreError on a full disk."""
    with atomic.below(path.parent), atomic.replacing(path) as part, part.open("wb") as file:
        _write(state, file)
        file.flush()
        os.fsync(file.fileno())


def _write(state: dict[str, Any], file: IO[bytes]) -> None:
    """As torch.save does, but a disk's refusal stays what it is: torch hides it behind an error of its own."""
    try:
        torch.save(state, file)
    except RuntimeError as error:
        raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def load(path: Path, device: str) -> dict[str, Any] | None:
    """What `save` wrote, or None where there is no file; WeightsError where it is damaged."""
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        # Not torch's own words, which advise to load the file unsafely.
        message = f"the checkpoint {path} is damaged ({type(error).__name__}); delete it, or train with --from-scratch."
        raise WeightsError(message) from None
    return state

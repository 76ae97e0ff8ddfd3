"""The device class that cells are computed on: cpu or cuda."""

from __future__ import annotations

from pathlib import Path

from mdnbench.errors import BadOption


def choose(asked: str, *, elsewhere: bool = False) -> str:
    """The device class: cpu or cuda; auto looks for a GPU without importing torch where there is none.

    With `elsewhere`, cells run on other machines, and a GPU that was asked for by name need not be here.
    """
    if asked not in ("auto", "cpu", "cuda"):
        raise BadOption(f"device {asked!r} is not allowed; it takes cpu, cuda or auto.")
    if asked == "cpu" or (asked == "auto" and not Path("/dev/nvidiactl").exists()):
        return "cpu"
    if asked == "cuda" and elsewhere:
        return asked
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if asked == "cuda":
        raise BadOption("device cuda was asked for, but torch sees no GPU here; use --device cpu.")
    return "cpu"

"""Choose the device on which cells are computed: cpu or cuda."""

from __future__ import annotations

from pathlib import Path

from mdnbench.errors import BadOption


def choose(asked: str, *, elsewhere: bool = False) -> str:
    """Return the device: cpu or cuda.

    Args:
        asked: 'cpu', 'cuda' or 'auto'. 'auto' looks for a GPU; it imports torch only if the driver's device file
            exists.
        elsewhere: Whether cells run on other machines. A GPU that was asked for by name need not be present here then.

    Raises:
        BadOption: The value is not allowed, or torch finds no GPU although cuda was asked for.

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

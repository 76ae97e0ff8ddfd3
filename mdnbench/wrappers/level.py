"""The noise level as networks take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mdnbench.errors import BadOption
from mdnbench.wrappers.about import Wants

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.records import NoiseInfo

NoiseLevel = Literal["none", "plane", "scalar"]
KINDS: tuple[NoiseLevel, ...] = ("none", "plane", "scalar")


def wants(kind: NoiseLevel) -> Wants:
    """What a method with such a level asks to know of the noise; BadOption where there is no such kind."""
    if kind not in KINDS:
        raise BadOption(f"noise_level={kind!r} is not allowed; it is one of {', '.join(KINDS)}.")
    return "nothing" if kind == "none" else "std"


def of(noisy: torch.Tensor, noise: NoiseInfo, kind: NoiseLevel, scale: float) -> float:
    """The level of an image (1, C, H, W) in the network's unit: `scale` times the noise's std; 0 where it takes none.

    It is estimated from the whole image where it is not told, so that tiles of one image share it.
    """
    if kind == "none":
        return 0.0
    from mdnbench.evaluation.adapters import to_numpy
    from mdnbench.evaluation.estimation import told_std

    return scale * told_std(to_numpy(noisy), noise)


def with_plane(image: torch.Tensor, level: float) -> torch.Tensor:
    """The image (1, C, H, W) with one more channel that holds the level everywhere."""
    import torch

    return torch.cat([image, torch.full_like(image[:, :1], level)], dim=1)

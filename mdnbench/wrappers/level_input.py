"""Convert the noise level to the form that a network takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from mdnbench.errors import BadOption
from mdnbench.evaluation.adapters import to_numpy
from mdnbench.evaluation.estimation import known_or_estimated_std
from mdnbench.wrappers.method_fields import Wants

if TYPE_CHECKING:
    from mdnbench.spec.records import NoiseInfo

NoiseLevel = Literal["none", "plane", "scalar"]
KINDS: tuple[NoiseLevel, ...] = ("none", "plane", "scalar")


def wants(kind: NoiseLevel) -> Wants:
    """Return the information about the noise that a method with this form of level needs.

    Raises:
        BadOption: There is no such form.

    """
    if kind not in KINDS:
        raise BadOption(f"noise_level={kind!r} is not allowed; it is one of {', '.join(KINDS)}.")
    return "nothing" if kind == "none" else "std"


def of(noisy: torch.Tensor, noise: NoiseInfo, kind: NoiseLevel, scale: float) -> float:
    """Return the level of an image in the network's unit: `scale` times the noise's std; 0 if it takes no level.

    If the level is unknown, it is estimated from the whole image, so that all tiles of an image have the same level.

    Args:
        noisy: The whole noisy image, (1, C, H, W).
        noise: The noise info.
        kind: The form of the level.
        scale: The factor from the [0, 1] scale to the network's unit.

    """
    if kind == "none":
        return 0.0
    return scale * known_or_estimated_std(to_numpy(noisy), noise)


def with_plane(image: torch.Tensor, level: float) -> torch.Tensor:
    """Return the image (1, C, H, W) with one more channel that has the level everywhere."""
    return torch.cat([image, torch.full_like(image[:, :1], level)], dim=1)

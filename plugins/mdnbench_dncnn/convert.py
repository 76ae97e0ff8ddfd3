"""Published DnCNN weights in the layouts they come in, as plain convolutions with bias."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mdnbench.errors import WeightsError
from mdnbench_dncnn.network import FEATURES, fold

if TYPE_CHECKING:
    import torch

    from mdnbench.names import Value

EPS = 1e-5  # of batch normalisation, in the common PyTorch implementations
DEPTHS = (17, 20)

_KEY = re.compile(r"(?:module\.)?(?:model|dncnn|layers)\.(\d+)\.(\w+)")
_ROLES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def convert(state: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Value]]:
    """The tensors of our network and its options, from `model.N.*` or `dncnn.N.*`, behind `module.` or not.

    Batch normalisation is folded into the convolution before it. Depth and colour are what the tensors say.
    WeightsError where this is no DnCNN.
    """
    layers: list[tuple[torch.Tensor, torch.Tensor]] = []
    for index, tensors in sorted(_by_index(state).items()):
        if "running_mean" in tensors:
            layers[-1] = _folded(layers, tensors, index)
        else:
            layers.append(_convolution(tensors, index))
    options = _options(layers)
    result = {}
    for index, (weight, bias) in enumerate(layers):
        result[f"layers.conv{index}.weight"], result[f"layers.conv{index}.bias"] = weight, bias
    return result, options


def _by_index(state: Mapping[str, Any]) -> dict[int, dict[str, torch.Tensor]]:
    """The tensors grouped by the position of their layer."""
    import torch

    grouped: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in state.items():
        match = _KEY.fullmatch(key)
        if match is None or match[2] not in _ROLES or not isinstance(tensor, torch.Tensor):
            raise WeightsError(f"{key!r} is in no known DnCNN layout; known are model.N.* and dncnn.N.*.")
        grouped.setdefault(int(match[1]), {})[match[2]] = tensor.detach().float()
    return grouped


def _convolution(tensors: dict[str, torch.Tensor], index: int) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    weight = tensors.get("weight")
    if weight is None or weight.ndim != 4 or weight.shape[2:] != (3, 3):
        raise WeightsError(f"layer {index} is neither a 3×3 convolution nor a batch normalisation; this is no DnCNN.")
    bias = tensors.get("bias", torch.zeros(len(weight)))
    if bias.shape != (len(weight),):
        raise WeightsError(
            f"layer {index} has a bias of {tuple(bias.shape)} for {len(weight)} outputs; this is no DnCNN."
        )
    return weight, bias


def _folded(
    layers: list[tuple[torch.Tensor, torch.Tensor]], norm: dict[str, torch.Tensor], index: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The latest convolution with a batch normalisation put into it."""
    if not layers or layers[-1][0].shape[0] != len(norm["running_mean"]):
        raise WeightsError(f"the batch normalisation in layer {index} does not fit the convolution before it.")
    missing = {"weight", "bias", "running_var"} - norm.keys()
    if missing:
        raise WeightsError(f"the batch normalisation in layer {index} lacks {', '.join(sorted(missing))}.")
    weight, bias = layers[-1]
    return fold(weight, {**norm, "conv_bias": bias}, EPS)


def _options(layers: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, Value]:
    """Depth and colour, with every layer's shape checked."""
    shapes = [tuple(weight.shape[:2]) for weight, _ in layers]
    channels = shapes[0][1] if shapes else 0
    inner = [(FEATURES, FEATURES)] * (len(shapes) - 2)
    if (
        channels not in (1, 3)
        or len(shapes) not in DEPTHS
        or shapes != [(FEATURES, channels), *inner, (channels, FEATURES)]
    ):
        raise WeightsError(
            f"these are {len(shapes)} convolutions of (outputs, inputs) {shapes}; a DnCNN has 17 or 20, "
            f"1 or 3 channels at both ends and {FEATURES} between."
        )
    return {"depth": len(shapes), "colour": channels == 3}

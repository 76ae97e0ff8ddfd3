"""The conversion of published DnCNN weights, in several layouts, to plain convolutions with bias."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from mdnbench.errors import WeightsError
from mdnbench_dncnn.network import FEATURES, fold

if TYPE_CHECKING:
    from mdnbench.spec.names import Value

DEPTHS = (17, 20)

# The eps of batch normalisation is not part of a state, and 1e-5 instead of 1e-4 costs decibels. It is that of the code
# that wrote the layout, which is known by the list's name and by which convolutions before the last have a bias.
EPS = {
    ("dncnn", "first"): 1e-4,  # the authors' own training code in PyTorch
    ("dncnn", "none"): 1e-5,  # the source of most copies of DnCNN-S; PyTorch's default
    ("model", "all"): 1e-4,  # KAIR
}

_KEY = re.compile(r"(?:module\.)?(model|dncnn|layers)\.(\d{1,4})\.(\w+)")
_NORM = ("weight", "bias", "running_mean", "running_var")
_ROLES = (*_NORM, "num_batches_tracked")


def convert(state: Mapping[str, Any], eps: float | None = None) -> tuple[dict[str, torch.Tensor], dict[str, Value]]:
    """Convert the tensors of a published DnCNN.

    The keys are `model.N.*` or `dncnn.N.*`, with or without `module.` before them. Batch normalisation is folded into
    the convolution before it. Depth and colour follow from the tensors.

    Args:
        state: The published tensors.
        eps: The eps of batch normalisation; by default, that of the code that writes this layout.

    Returns:
        The tensors of our network, and its options.

    Raises:
        WeightsError: The tensors are not a DnCNN, or eps is needed and neither given nor known for the layout.
    """
    layers: list[tuple[torch.Tensor, torch.Tensor]] = []
    grouped = _by_index(state)
    if eps is None and any("running_mean" in tensors for tensors in grouped.values()):
        eps = _eps(state, grouped)
    for index, tensors in sorted(grouped.items()):
        if "running_mean" in tensors:
            layers[-1:] = [_folded(layers, tensors, index, eps)]
        else:
            layers.append(_convolution(tensors, index))
    options = _options(layers)
    result = {}
    for index, (weight, bias) in enumerate(layers):
        result[f"layers.conv{index}.weight"], result[f"layers.conv{index}.bias"] = weight, bias
    return result, options


def _eps(state: Mapping[str, Any], grouped: dict[int, dict[str, torch.Tensor]]) -> float:
    """Return the eps of the code that writes this layout. Raise WeightsError if it is not known."""
    names = {match[1] for match in map(_KEY.fullmatch, state) if match}
    convolutions = [tensors for _, tensors in sorted(grouped.items()) if "running_mean" not in tensors]
    biased = ["bias" in tensors for tensors in convolutions[:-1]]
    which = (
        "all" if all(biased) else "none" if not any(biased) else "first" if biased[0] and sum(biased) == 1 else "some"
    )
    known = {EPS[name, which] for name in names if (name, which) in EPS}
    if len(names) != 1 or not known:
        raise WeightsError(
            "its batch normalisation has to be folded with the eps of the code that trained it, which is not in the "
            f"file and not known for this layout ({', '.join(sorted(names))}; a bias in {which} of the convolutions): "
            "say --eps, mostly 1e-5 (PyTorch's default) or 1e-4."
        )
    return known.pop()


def _by_index(state: Mapping[str, Any]) -> dict[int, dict[str, torch.Tensor]]:
    """Return the tensors, grouped by the position of their layer."""
    grouped: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in state.items():
        match = _KEY.fullmatch(key)
        if match is None or match[3] not in _ROLES or not isinstance(tensor, torch.Tensor):
            raise WeightsError(f"{key!r} is in no known DnCNN layout; known are model.N.* and dncnn.N.*.")
        layer = grouped.setdefault(int(match[2]), {})
        if match[3] in layer:
            raise WeightsError(f"layer {int(match[2])} is there twice; {key!r} is one of the two.")
        layer[match[3]] = tensor.detach().float()
    return grouped


def _convolution(tensors: dict[str, torch.Tensor], index: int) -> tuple[torch.Tensor, torch.Tensor]:
    weight = tensors.get("weight")
    if weight is None or weight.ndim != 4 or weight.shape[2:] != (3, 3) or not tensors.keys() <= {"weight", "bias"}:
        raise WeightsError(f"layer {index} is neither a 3×3 convolution nor a batch normalisation; this is no DnCNN.")
    bias = tensors.get("bias", torch.zeros(len(weight)))
    if bias.shape != (len(weight),):
        raise WeightsError(
            f"layer {index} has a bias of {tuple(bias.shape)} for {len(weight)} outputs; this is no DnCNN."
        )
    return weight, bias


def _folded(
    layers: list[tuple[torch.Tensor, torch.Tensor]], norm: dict[str, torch.Tensor], index: int, eps: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the last convolution with a batch normalisation folded into it."""
    missing = set(_NORM) - norm.keys()
    if missing:
        raise WeightsError(f"the batch normalisation in layer {index} lacks {', '.join(sorted(missing))}.")
    if not layers or any(norm[role].shape != layers[-1][0].shape[:1] for role in _NORM):
        raise WeightsError(f"the batch normalisation in layer {index} does not fit the convolution before it.")
    weight, bias = layers[-1]
    assert eps is not None
    return fold(weight, {**norm, "conv_bias": bias}, eps)


def _options(layers: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, Value]:
    """Return the options for these layers, after checking the shape of each one."""
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

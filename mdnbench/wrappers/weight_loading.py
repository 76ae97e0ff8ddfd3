"""Load the tensors of a weights file into a network: all of them, each in its place, or none."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mdnbench.errors import BadOption, WeightsError
from mdnbench.spec.names import printable
from mdnbench.weights import state_choice
from mdnbench.weights.published import check_eps
from mdnbench.weights.states import few

if TYPE_CHECKING:
    from mdnbench.weights.state_choice import Misfit

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StateSelection:
    """What the user has chosen from a weights file.

    Attributes:
        state: The name of a state; '' chooses none.
        prefix: The prefix to remove from the keys; None chooses none.
        eps: The eps of batch normalisation; None keeps the network's own.

    """

    state: str = ""
    prefix: str | None = None
    eps: float | None = None

    def __post_init__(self) -> None:
        if self.eps is not None:
            check_eps(self.eps)

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the part of a method's revision that depends on the choice; nothing if nothing was chosen."""
        return () if self == ANY else (repr(self),)


def fill(module: torch.nn.Module, path: Path, choice: StateSelection) -> None:
    """Load the state of a file that fits the module, and log which one it is.

    Args:
        module: The network.
        path: The weights file.
        choice: The user's choice from the file.

    Raises:
        WeightsError: No state fits (the message lists the keys that differ), or several fit and none was chosen.
        BadOption: An eps was chosen, but the module has no batch normalisation.

    """
    expected = module.state_dict()

    def by_keys(tensors: dict[str, Any]) -> Misfit:
        return misfit(expected, tensors)

    def by_loading(tensors: dict[str, Any]) -> Misfit:
        return _attempt(module, tensors)

    try:
        taken = state_choice.take(path, by_keys, state=choice.state, prefix=choice.prefix)
    except state_choice.NoFit as error:
        try:  # a module may accept keys that it does not list itself, for example those of earlier versions
            taken = state_choice.take(path, by_loading, state=choice.state, prefix=choice.prefix)
        except state_choice.NoFit:
            raise _other_network(path, module, error.reason) from None
    count, reason = _attempt(module, taken.tensors)
    if count:
        raise _other_network(path, module, reason)
    if choice.eps is not None:
        _set_eps(module, choice.eps)
    logger.info("%s: %s", path, taken)


def _other_network(path: Path, module: torch.nn.Module, reason: str) -> WeightsError:
    return WeightsError(
        printable(f"the weights in {path} are of another network than {type(module).__name__}: {reason}")
    )


def misfit(expected: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]) -> Misfit:
    """Compare keys, shapes and kinds of number with those of the network.

    Returns:
        The number of differences, and a description with the first few of each kind.

    """
    missing = [key for key in expected if key not in tensors and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in tensors if key not in expected]
    common = [key for key in expected if key in tensors]
    shapes = [key for key in common if _shape(expected[key]) not in (None, _shape(tensors[key]))]
    kinds = [key for key in common if _kind(key, expected[key]) != _kind(key, tensors[key])]
    told = []
    if missing:
        told.append(f"Missing keys: {few(missing)}.")
    if unexpected:
        told.append(f"Unexpected keys: {few(unexpected)}.")
    if shapes:
        both = (f"{key} {_shape(tensors[key])}, but the network has {_shape(expected[key])}" for key in shapes)
        told.append(f"Other shapes: {few(both)}.")
    if kinds:
        both = (f"{key} {tensors[key].dtype}, but the network has {expected[key].dtype}" for key in kinds)
        told.append(f"Other kinds of number: {few(both)}.")
    return len(missing) + len(unexpected) + len(shapes) + len(kinds), " ".join(told)


def _shape(tensor: Any) -> Any:
    """Return the shape of a tensor; None for a lazy parameter, whose shape is set by the first image or file."""
    return None if torch.nn.parameter.is_lazy(tensor) else tuple(tensor.shape)


def _kind(key: str, tensor: torch.Tensor) -> str:
    """Return whether a tensor has whole, real or complex numbers; a copy between kinds would silently lose digits."""
    if key.endswith("num_batches_tracked"):
        return ""
    return "complex" if tensor.dtype.is_complex else "real" if tensor.dtype.is_floating_point else "whole"


def _attempt(module: torch.nn.Module, tensors: dict[str, Any]) -> Misfit:
    """Load a state strictly; return the number of differences and their description."""
    own = module.state_dict()
    kinds = {
        key: tensor for key, tensor in tensors.items() if key in own and _kind(key, own[key]) != _kind(key, tensor)
    }
    if kinds:
        return 1, misfit(own, tensors)[1]
    try:
        module.load_state_dict(tensors)
    except (RuntimeError, TypeError, KeyError, ValueError, AttributeError, NotImplementedError) as error:
        return 1, " ".join(str(error).split())[:400]
    return 0, ""


def _set_eps(module: torch.nn.Module, eps: float) -> None:
    norms = [each for each in module.modules() if isinstance(each, torch.nn.modules.batchnorm._BatchNorm)]
    if not norms:
        raise BadOption(f"eps={eps:g} cannot be used: {type(module).__name__} has no batch normalisation.")
    for each in norms:
        each.eps = eps


ANY = StateSelection()

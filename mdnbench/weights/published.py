"""The import of published weights: it takes the tensors of a PyTorch or safetensors file, and nothing else."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.errors import BadOption, WeightsError
from mdnbench.spec.weights import Card, Weights
from mdnbench.util import digests, paths
from mdnbench.weights import state_choice, states
from mdnbench.weights.available import check_name, trained
from mdnbench.weights.files import save
from mdnbench.weights.reader import refusal
from mdnbench.weights.state_choice import Misfit, Tensors

if TYPE_CHECKING:
    from mdnbench.spec.names import Value
    from mdnbench.spec.specs import DenoiserSpec


def import_weights(
    spec: DenoiserSpec, path: Path, name: str, *, state: str = "", prefix: str | None = None, eps: float | None = None
) -> Weights:
    """Import published PyTorch weights, to use as `spec.name[weights=name]`.

    The card records the file's digest, and its notes record which tensors were taken. Only tensors are ever unpickled.

    Args:
        spec: The learned method.
        path: The file.
        name: The name to store the weights under.
        state: The state to take, if the file has several.
        prefix: The prefix to remove from the keys, if there is a choice.
        eps: The eps of batch normalisation, if the method accepts one.

    Raises:
        WeightsError: The file is unsafe, damaged or of another network, or it needs a choice of state or prefix.
        BadOption: The name cannot be used, for example because other weights have it, or `eps` cannot be used.
    """
    if spec.trainable is None or spec.trainable.convert is None:
        raise WeightsError(f"{spec.name} takes no published weights.")
    check_name(name, spec)
    check_eps(eps)
    if eps is not None and not takes_eps(spec):
        raise BadOption(f"{spec.name} knows the eps of its batch normalisation by itself; leave --eps away.")
    taken = state_choice.take(path, lambda tensors: misfit(spec, tensors, eps), state=state, prefix=prefix)
    result, options = converted(spec, taken.tensors, eps)
    if fault := states.faults(result):
        raise refusal(path, f"cannot be used by {spec.name}: converted, it has {fault}.")
    notes = f"imported from {path.name}, {taken}{_eps_note(taken.tensors, eps)}"
    card = Card(spec.name, options, blind=True, source=path.name, source_sha256=digests.of_file(path), notes=notes)
    _refuse_replacing(name, card)
    return save(paths.home() / "weights" / spec.name, name, result, card)


def converted(spec: DenoiserSpec, tensors: Tensors, eps: float | None) -> tuple[Tensors, dict[str, Value]]:
    """Convert published tensors into the method's own.

    Returns:
        The tensors, and the options of the network that they belong to.

    Raises:
        WeightsError: The tensors do not fit the method.
    """
    assert spec.trainable is not None
    convert = spec.trainable.convert
    assert convert is not None
    if eps is None:
        return convert(tensors)
    if not states.has_statistics(tensors):
        raise WeightsError("it has no running statistics of batch normalisation; leave --eps away.")
    return convert(tensors, eps=eps)


def takes_eps(spec: DenoiserSpec) -> bool:
    """Return whether a method's `convert` accepts the eps of batch normalisation."""
    convert = spec.trainable.convert if spec.trainable else None
    return convert is not None and "eps" in inspect.signature(convert).parameters


def misfit(spec: DenoiserSpec, tensors: Tensors, eps: float | None) -> Misfit:
    """Return how badly tensors fit a method as published weights, and why: 0 if they fit."""
    if fault := states.faults(tensors):
        return 2, f"it has {fault}."
    try:
        converted(spec, tensors, eps)
    except WeightsError as error:
        return 1, str(error)
    return 0, ""


def check_eps(eps: float | None) -> None:
    """Check that a number can be the eps of batch normalisation.

    Raises:
        BadOption: It is not at least 0 and below 1.
    """
    if eps is not None and not (math.isfinite(eps) and 0 <= eps < 1):
        raise BadOption(f"eps={eps} is not allowed; batch normalisation adds a small number to its variances, as 1e-5.")


def tensors_in(path: Path, *, state: str = "", prefix: str | None = None) -> dict[str, Any]:
    """Return the tensors of the only state in a safetensors or PyTorch file, by the file's keys.

    Only tensors are ever unpickled.

    Args:
        path: The file.
        state: The state to take, if the file has several.
        prefix: Take only keys that begin with it, and remove it.

    Raises:
        WeightsError: The file is missing, unsafe or damaged, or has several states and none is named.
    """
    return state_choice.take(path, lambda tensors: (0, ""), state=state, prefix=prefix).tensors


def _eps_note(tensors: Tensors, eps: float | None) -> str:
    """Return a note about the eps of batch normalisation, if the tensors have any."""
    if not states.has_statistics(tensors):
        return ""
    return (
        "; eps of batch normalisation as its layout has it" if eps is None else f"; eps of batch normalisation {eps:g}"
    )


def _refuse_replacing(name: str, card: Card) -> None:
    """Raise BadOption if other weights have the name.

    Imported weights could not be made again if they were replaced.
    """
    for old in trained(card.method):
        if old.name == name and old.card.source_sha256 != card.source_sha256:
            origin = f"imported from {old.card.source}" if old.card.source else "trained here"
            raise BadOption(
                f"{name!r} is the name of weights of {card.method} that were {origin}; choose another --name, or "
                f"remove {old.path} and the card next to it."
            )

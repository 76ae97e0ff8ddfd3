"""The weights that are available for a method, shipped or on this machine, and the names that new ones may have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.errors import BadOption, UnknownName
from mdnbench.spec.weights import Weights
from mdnbench.util import paths
from mdnbench.weights.card import read

if TYPE_CHECKING:
    from mdnbench.spec.specs import DenoiserSpec, Trainable

AUTO = "auto"  # the value of the option `weights` for which the harness chooses

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def shipped(trainable: Trainable) -> list[Weights]:
    """Return the weights that are shipped with a method's plugin."""
    return _in(trainable.weights)


def trained(method: str) -> list[Weights]:
    """Return the weights of a method that were trained or imported on this machine."""
    return _in(paths.home() / "weights" / method)


def find(spec: DenoiserSpec, name: str) -> Weights:
    """Return the weights of a method by name, shipped or on this machine.

    Raises:
        UnknownName: There are no such weights.
    """
    known = [*shipped(spec.trainable), *trained(spec.name)] if spec.trainable else []
    for each in known:
        if each.name == name:
            return each
    raise UnknownName(f"weights file of {spec.name}", name, (each.name for each in known))


def check_name(name: str, spec: DenoiserSpec) -> None:
    """Check a name for new weights.

    Shipped weights are found first, so new weights may not have the same name.

    Args:
        name: The name.
        spec: The learned method.

    Raises:
        BadOption: The name is not a plain file name, cannot be used in METHOD[weights=NAME], or is taken.
    """
    if not _NAME.fullmatch(name) or name == AUTO:
        raise BadOption(
            f"{name!r} cannot be the name of weights; names are letters, digits, '-', '_' and '.', and not {AUTO!r}."
        )
    if spec.trainable and name in (each.name for each in shipped(spec.trainable)):
        raise BadOption(f"{name!r} is the name of weights that are shipped with {spec.name}; choose another one.")


def _in(folder: Path) -> list[Weights]:
    return [read(path) for path in sorted(folder.glob("*.toml"))]

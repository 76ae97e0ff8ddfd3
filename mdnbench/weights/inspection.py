"""The inspection of a weights file: its states, their prefixes, and the networks that they fit."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mdnbench.errors import MdnbenchError, TookTooLong, WeightsError
from mdnbench.spec.names import show
from mdnbench.util import digests
from mdnbench.util.limits import MAX_COMPARED_NETWORKS
from mdnbench.weights import published, state_choice, states
from mdnbench.weights.states import TensorState

if TYPE_CHECKING:
    from mdnbench.spec.names import Value
    from mdnbench.spec.specs import DenoiserSpec

_SOME_EPS = 1e-5  # tried only to find out whether nothing but an eps is missing


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """One tensor of a state: its key in the file, its shape, and its type, such as float32."""

    key: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class StateFacts:
    """One state of a file.

    Attributes:
        name: The name that `--state` takes; '' if the file itself is the state.
        tensors: The number of tensors.
        values: The number of values in all tensors.
        bytes: The size of all tensors.
        dtypes: The number of tensors by type.
        prefix: The prefix that all keys share.
        prefixes: Prefixes of some keys that may contain a whole network.
        batch_norm: Whether there are running statistics of batch normalisation.
        fits: The methods, with options, whose network the state fits.
        faults: Why the state cannot be used as it is; '' if it can.
        keys: The tensors.
    """

    name: str
    tensors: int
    values: int
    bytes: int
    dtypes: dict[str, int]
    prefix: str
    prefixes: tuple[str, ...]
    batch_norm: bool
    fits: tuple[str, ...]
    faults: str
    keys: tuple[TensorFacts, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result of inspecting a weights file.

    Attributes:
        file: The path.
        format: The name of the format.
        bytes: The size of the file.
        sha256: The SHA-256 of the file.
        states: The states in the file.
        beside: The types of everything else in the file, by name.
    """

    file: str
    format: str
    bytes: int
    sha256: str
    states: tuple[StateFacts, ...]
    beside: dict[str, str]


def inspect(path: Path, specs: Iterable[DenoiserSpec], *, state: str = "", prefix: str | None = None) -> Inspection:
    """Inspect a weights file. Nothing in it is run.

    Args:
        path: The file.
        specs: The methods whose networks the states are compared with.
        state: If given, only the state of this name is inspected.
        prefix: If given, only the tensors whose keys begin with it are inspected, and it is removed from the keys.

    Raises:
        WeightsError: The file cannot be read, or has no such state or prefix.
    """
    found = states.checkpoint(path)
    chosen = state_choice.select(found, state)
    whole = state_choice.checked_prefix(found, chosen, prefix)
    known = list(specs)
    networks = list(_networks(known))
    facts = tuple(_facts(each, known, networks, whole) for each in chosen)
    return Inspection(str(path), found.format, found.bytes, digests.of_file(path), facts, found.beside)


def _facts(
    state: TensorState, specs: list[DenoiserSpec], networks: list[NetworkShape], prefix: str | None
) -> StateFacts:
    tensors: dict[Any, torch.Tensor] = dict(state.below(prefix)) if prefix else state.tensors
    faults = states.oddities(state) or states.faults(tensors)
    listed = tuple(
        TensorFacts(states.shown(key), tuple(tensor.shape), states.dtype_of(tensor)) for key, tensor in tensors.items()
    )
    return StateFacts(
        name=state.name,
        tensors=len(tensors),
        values=states.values(tensors.values()),
        bytes=states.size(tensors.values()),
        dtypes=states.dtypes(tensors),
        prefix=states.shared_prefixes(state.keys)[-1],
        prefixes=tuple(states.partial_prefixes(state.keys)),
        batch_norm=states.has_statistics(state.keys),
        fits=() if faults else tuple(_fits(state, specs, networks, prefix)),
        faults=faults,
        keys=listed,
    )


# -- the networks that a state fits ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """A network of a method: the method with its options, and the shapes of the network's state."""

    text: str
    shapes: dict[str, tuple[int, ...]]


def _fits(
    state: TensorState, specs: list[DenoiserSpec], networks: list[NetworkShape], prefix: str | None
) -> Iterator[str]:
    """Yield each method with options that a state fits, as published weights to convert or as its own network."""
    parts = [state.below(each) for each in state_choice.candidates(state, prefix)]
    for spec in specs:
        if found := next(filter(None, (_converted(spec, tensors) for tensors in parts)), ""):
            yield found
    shapes = [{key: tuple(tensor.shape) for key, tensor in tensors.items()} for tensors in parts]
    yield from dict.fromkeys(each.text for each in networks if each.shapes in shapes)


def _converted(spec: DenoiserSpec, tensors: dict[str, Any]) -> str:
    """Return the method, if it accepts these tensors as published weights, or ''."""
    if spec.trainable is None or spec.trainable.convert is None:
        return ""
    try:
        return _named(spec, published.converted(spec, tensors, None)[1])
    except WeightsError:
        told = published.takes_eps(spec) and not published.misfit(spec, tensors, _SOME_EPS)[0]
        return f"{spec.name}, with --eps" if told else ""


def _networks(specs: list[DenoiserSpec]) -> Iterator[NetworkShape]:
    """Yield the networks of all learned methods, for each combination of options with few values, blind or not."""
    for spec in specs:
        for options in _variants(spec) if spec.trainable else ():
            for blind in (False, True):
                if shapes := _shapes(spec, blind, options):
                    yield NetworkShape(_named(spec, options), shapes)


def _variants(spec: DenoiserSpec) -> Iterator[dict[str, Value]]:
    """Yield the combinations of a method's options. An option with any number of values keeps its default."""
    values: dict[str, tuple[Value, ...]] = {}
    for option in spec.options:
        few = tuple(option.choices) or ((False, True) if option.type is bool else ())
        default = option.fallback()
        values[option.name] = few or (() if default is None else (default,))
    for chosen in itertools.islice(itertools.product(*values.values()), MAX_COMPARED_NETWORKS):
        yield dict(zip(values, chosen, strict=True))


def _shapes(spec: DenoiserSpec, blind: bool, options: dict[str, Value]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's state, without memory for its values; empty if this is not possible."""
    assert spec.trainable is not None
    make = spec.trainable.inference or spec.trainable.network
    try:
        with torch.device("meta"):
            state = make(blind=blind, **options).state_dict()
    except TookTooLong:  # it would with other options too
        raise
    except (MdnbenchError, TypeError, ValueError, RuntimeError, NotImplementedError, ImportError):
        return {}
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def _named(spec: DenoiserSpec, options: dict[str, Value]) -> str:
    said = ",".join(f"{name}={show(value)}" for name, value in options.items())
    return f"{spec.name}[{said}]" if said else spec.name

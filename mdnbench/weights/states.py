"""The states in a checkpoint: tables of tensors by name, at any place in it, and why some cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mdnbench.spec.names import printable
from mdnbench.util import limits
from mdnbench.weights.reader import NumpyValue, most_bytes, read, refusal

# Prefixes that contain a whole network, whatever else the state contains.
WRAPPERS = frozenset(
    (
        "module", "_orig_mod", "_forward_module", "model", "net", "netG", "net_g", "netg", "generator",
        "generator_ema", "ema", "ema_model", "model_ema", "params", "params_ema", "network", "denoiser", "student",
        "teacher", "backbone", "online_model", "averaged_model",
    )
)  # fmt: skip
FEW = 4  # how many keys a message lists


@dataclass(frozen=True, slots=True)
class TensorState:
    """A table of tensors in a checkpoint.

    Attributes:
        name: The path to the table, such as `state_dict_ema` or `model/denoiser`; '' for the file itself.
        tensors: The tensors, by the file's keys.
        others: The types of entries that are not tensors, by key.
    """

    name: str
    tensors: dict[Any, torch.Tensor]
    others: dict[Any, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Return the name of the state in messages."""
        return f"the state {self.name!r}" if self.name else "its own state"

    @property
    def keys(self) -> list[str]:
        """Return the keys that are texts."""
        return [key for key in self.tensors if isinstance(key, str)]

    def below(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the tensors whose keys begin with a prefix, by their keys without it."""
        return {key.removeprefix(prefix): self.tensors[key] for key in self.keys if key.startswith(prefix)}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The content of a weights file.

    Attributes:
        path: The file.
        format: The name of its format.
        bytes: The size of the file.
        states: The states in it.
        beside: The types of everything else in it, by name.
    """

    path: Path
    format: str
    bytes: int
    states: tuple[TensorState, ...]
    beside: dict[str, str]


def checkpoint(path: Path) -> Checkpoint:
    """Read a weights file and find its states.

    The states may contain entries that cannot be used, which `oddities` and `faults` describe.

    Raises:
        WeightsError: The file cannot be read, or contains no table of tensors.
    """
    content = read(path)
    if not isinstance(content.objects, Mapping):
        raise refusal(path, f"holds {type(content.objects).__name__}, not a table of tensors.")
    finder = _StateSearch(path)
    states = finder.states(content.objects)
    if sum(len(each.tensors) for each in states) > limits.MAX_WEIGHTS_TENSORS:
        raise refusal(path, f"holds more than {limits.MAX_WEIGHTS_TENSORS} tensors.")
    claimed = sum(size(each.tensors.values()) for each in states)
    if claimed > most_bytes(content.bytes):
        raise refusal(
            path, f"has {content.bytes} bytes, and its tensors claim {claimed}: shapes that the file has no values for."
        )
    if not states:
        states = [TensorState("", {}, finder.beside)]
    return Checkpoint(path, content.format, content.bytes, tuple(states), finder.beside)


class _StateSearch:
    """A search for states in a table and the tables inside it. Other entries are noted by name and type."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.beside: dict[str, str] = {}
        self.entries = 0

    def states(self, table: Mapping[Any, Any], name: str = "", depth: int = 0) -> list[TensorState]:
        """Return the states in a table, its own first. Single numbers next to other tables do not make a state."""
        self._count(len(table))
        tensors, others, found = {}, {}, []
        for key, value in table.items():
            if isinstance(value, torch.Tensor):
                tensors[key] = value.detach()
            elif isinstance(value, Mapping):
                found += self._inner(value, _way(name, key), depth + 1)
            else:
                others[key] = "a NumPy value" if isinstance(value, NumpyValue) else type(value).__name__
        if tensors and (not found or any(tensor.ndim for tensor in tensors.values())):
            return [TensorState(name, tensors, others), *found]
        for key, kind in (others | dict.fromkeys(tensors, "a tensor")).items():
            self.beside[_way(name, key)] = kind
        return found

    def _inner(self, table: Mapping[Any, Any], name: str, depth: int) -> list[TensorState]:
        optimiser = {"state", "param_groups"} <= table.keys()
        found = [] if optimiser or depth > limits.MAX_STATE_DEPTH else self.states(table, name, depth)
        if not found:
            self.beside[name] = "an optimiser's state" if optimiser else "a table"
        return found

    def _count(self, entries: int) -> None:
        """Count entries up to a limit, because tables in a small file may contain each other again and again."""
        self.entries += entries
        if self.entries > limits.MAX_STATE_ENTRIES:
            raise refusal(self.path, f"has tables with more than {limits.MAX_STATE_ENTRIES} entries in all.")


def _way(name: str, key: object) -> str:
    return f"{name}/{shown(key)}" if name else shown(key)


def shown(key: object) -> str:
    """Return a key as one line without control characters. A key that is not a text is shown as Python writes it."""
    return printable(key if isinstance(key, str) else repr(key)[:80])


# -- facts about a state ---------------------------------------------------------------------------------------------


def shared_prefixes(keys: Iterable[str]) -> list[str]:
    """Return the prefixes that all keys share, shortest first, such as '', 'module.' and 'module.model.'.

    The last part of a key never belongs to a prefix.
    """
    found, first = [""], None
    parts = [key.split(".")[:-1] for key in keys]
    for place in range(min((len(each) for each in parts), default=0)):
        first = parts[0][place]
        if any(each[place] != first for each in parts):
            break
        found.append(f"{found[-1]}{first}.")
    return found


def partial_prefixes(keys: list[str]) -> list[str]:
    """Return prefixes of some keys that contain a whole network, shortest first, as `generator.` next to `step`."""
    shared = shared_prefixes(keys)[-1]
    groups: dict[str, list[str]] = {}
    for key in keys:
        first, dot, _ = key.removeprefix(shared).partition(".")
        if dot and first in WRAPPERS:
            groups.setdefault(first, []).append(key)
    found = []
    for each in groups.values():
        if len(each) < len(keys):
            found += [prefix for prefix in shared_prefixes(each) if len(prefix) > len(shared)]
    return found


def has_statistics(keys: Iterable[str]) -> bool:
    """Return whether tensors with these keys include running statistics of batch normalisation."""
    return any(key.rpartition(".")[2] == "running_var" for key in keys)


def dtype_of(tensor: torch.Tensor) -> str:
    """Return the type of a tensor's values, such as float32."""
    return str(tensor.dtype).removeprefix("torch.")


def dtypes(tensors: Mapping[Any, torch.Tensor]) -> dict[str, int]:
    """Return the number of tensors of each type, the most frequent type first."""
    return dict(Counter(map(dtype_of, tensors.values())).most_common())


def values(tensors: Iterable[torch.Tensor]) -> int:
    """Return the number of values in tensors. Sparse tensors and meta tensors count as empty."""
    return sum(each.numel() for each in tensors if _is_dense(each))


def size(tensors: Iterable[torch.Tensor]) -> int:
    """Return the size of tensors in bytes, if each has its own memory."""
    return sum(each.numel() * each.element_size() for each in tensors if _is_dense(each))


def _is_dense(tensor: torch.Tensor) -> bool:
    return tensor.layout == torch.strided and tensor.device.type != "meta"


def few(keys: Iterable[object]) -> str:
    """Return the first few keys, and the number of the others, as a text."""
    listed = [shown(key) for key in keys]
    more = f" and {len(listed) - FEW} more" if len(listed) > FEW else ""
    return ", ".join(listed[:FEW]) + more


def oddities(state: TensorState) -> str:
    """Return a description of entries in a state that are not tensors with a name, or ''."""
    odd = [key for key in state.tensors if not isinstance(key, str)]
    if odd:
        return f"{state.title} has keys that are no texts: {few(odd)}; save it with the names that the network gives"
    if state.others:
        named = few(f"{shown(key)} ({kind})" for key, kind in state.others.items())
        return f"{state.title} holds more than tensors: {named}; save the tensors by themselves"
    return ""


def faults(tensors: Mapping[Any, torch.Tensor]) -> str:
    """Return a description of tensors that no network here could use, with the reasons, or ''."""
    kinds: dict[str, list[Any]] = {}
    for key, tensor in tensors.items():
        if fault := _fault(tensor):
            kinds.setdefault(fault, []).append(key)
    listed = [f"{few(keys)} ({fault})" for fault, keys in kinds.items()]
    return f"tensors that cannot be used: {'; '.join(listed)}" if listed else ""


def _fault(tensor: torch.Tensor) -> str:
    """Return why a tensor cannot be a parameter here, or ''."""
    if tensor.device.type == "meta":
        return "on the device 'meta': a shape without values"
    if tensor.layout != torch.strided:
        return f"sparse, {str(tensor.layout).removeprefix('torch.')}; save its to_dense()"
    if tensor.is_quantized:
        return "quantised; save its dequantize()"
    if tensor.is_complex():
        return "complex numbers; a network with real parameters would drop their imaginary parts"
    return _not_finite(tensor) if tensor.is_floating_point() else ""


def _not_finite(tensor: torch.Tensor) -> str:
    try:
        plain = tensor.float()
    except (RuntimeError, NotImplementedError):
        return f"{tensor.dtype}, which cannot be turned into float32"
    if plain.isnan().any():
        return "NaN"
    return "" if plain.isfinite().all() else "infinite, in float32 at least"

"""The states in a checkpoint: tables of tensors by name, wherever trainers put them, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.spec.names import printable
from mdnbench.util import limits
from mdnbench.weights.reading import NumpyValue, most_bytes, read, refusal

if TYPE_CHECKING:
    import torch

# Names that wrap a network whole: what follows one of them is the network, whatever else the state holds.
WRAPPERS = frozenset(
    (
        "module", "_orig_mod", "_forward_module", "model", "net", "netG", "net_g", "netg", "generator",
        "generator_ema", "ema", "ema_model", "model_ema", "params", "params_ema", "network", "denoiser", "student",
        "teacher", "backbone", "online_model", "averaged_model",
    )
)  # fmt: skip
FEW = 4  # keys that a message lists of many


@dataclass(frozen=True, slots=True)
class State:
    """A table of tensors in a checkpoint.

    `name` is the way to it (`state_dict_ema`, `model/denoiser`), '' for the file itself. `tensors` are by their keys as
    the file has them; `others` are the entries among them that are no tensors, by key, with their types' names.
    """

    name: str
    tensors: dict[Any, torch.Tensor]
    others: dict[Any, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The state as a message names it."""
        return f"the state {self.name!r}" if self.name else "its own state"

    @property
    def keys(self) -> list[str]:
        """The keys that are texts."""
        return [key for key in self.tensors if isinstance(key, str)]

    def below(self, prefix: str) -> dict[str, torch.Tensor]:
        """The tensors whose keys begin with a prefix, without it."""
        return {key.removeprefix(prefix): self.tensors[key] for key in self.keys if key.startswith(prefix)}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a weights file holds: its format, its size in bytes, its states, and what else, by name with its type."""

    path: Path
    format: str
    bytes: int
    states: tuple[State, ...]
    beside: dict[str, str]


def checkpoint(path: Path) -> Checkpoint:
    """Read a weights file and find its states; WeightsError where it cannot be read or has no table of tensors.

    The states may still hold what cannot be used: `oddities` and `faults` name it.
    """
    content = read(path)
    if not isinstance(content.objects, Mapping):
        raise refusal(path, f"holds {type(content.objects).__name__}, not a table of tensors.")
    finder = _Finder(path)
    states = finder.states(content.objects)
    if sum(len(each.tensors) for each in states) > limits.MAX_WEIGHTS_TENSORS:
        raise refusal(path, f"holds more than {limits.MAX_WEIGHTS_TENSORS} tensors.")
    claimed = sum(size(each.tensors.values()) for each in states)
    if claimed > most_bytes(content.bytes):
        raise refusal(
            path, f"has {content.bytes} bytes, and its tensors claim {claimed}: shapes that the file has no values for."
        )
    if not states:
        states = [State("", {}, finder.beside)]
    return Checkpoint(path, content.format, content.bytes, tuple(states), finder.beside)


class _Finder:
    """Looks for states in a table and in the tables within it; what is next to them is kept by name and kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.beside: dict[str, str] = {}
        self.entries = 0

    def states(self, table: Mapping[Any, Any], name: str = "", depth: int = 0) -> list[State]:
        """The states in a table, its own first. A lone number next to other tables is none."""
        import torch

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
            return [State(name, tensors, others), *found]
        for key, kind in (others | dict.fromkeys(tensors, "a tensor")).items():
            self.beside[_way(name, key)] = kind
        return found

    def _inner(self, table: Mapping[Any, Any], name: str, depth: int) -> list[State]:
        optimiser = {"state", "param_groups"} <= table.keys()
        found = [] if optimiser or depth > limits.MAX_STATE_DEPTH else self.states(table, name, depth)
        if not found:
            self.beside[name] = "an optimiser's state" if optimiser else "a table"
        return found

    def _count(self, entries: int) -> None:
        """Tables may hold each other, again and again, in a file of a few bytes."""
        self.entries += entries
        if self.entries > limits.MAX_STATE_ENTRIES:
            raise refusal(self.path, f"has tables with more than {limits.MAX_STATE_ENTRIES} entries in all.")


def _way(name: str, key: object) -> str:
    return f"{name}/{shown(key)}" if name else shown(key)


def shown(key: object) -> str:
    """A key in one line that no terminal obeys; one that is no text as Python writes it."""
    return printable(key if isinstance(key, str) else repr(key)[:80])


# -- what a state tells ----------------------------------------------------------------------------------------------


def shared_prefixes(keys: Iterable[str]) -> list[str]:
    """The prefixes that all keys share, shortest first: '', 'module.', 'module.model.' of 'module.model.0.bias' alone.

    The last part of a key is never part of one.
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
    """Prefixes of some keys that name a network whole (`generator.` next to `step_counter`), shortest first."""
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
    """Whether there are running statistics of a batch normalisation among tensors of these keys."""
    return any(key.rpartition(".")[2] == "running_var" for key in keys)


def dtype_of(tensor: torch.Tensor) -> str:
    """The type of a tensor's numbers, as float32."""
    return str(tensor.dtype).removeprefix("torch.")


def dtypes(tensors: Mapping[Any, torch.Tensor]) -> dict[str, int]:
    """How many tensors there are of each type of number, the most frequent first."""
    return dict(Counter(map(dtype_of, tensors.values())).most_common())


def values(tensors: Iterable[torch.Tensor]) -> int:
    """How many numbers tensors hold; of sparse and meta ones there are none to count."""
    return sum(each.numel() for each in tensors if _is_dense(each))


def size(tensors: Iterable[torch.Tensor]) -> int:
    """How many bytes tensors take when each has values of its own."""
    return sum(each.numel() * each.element_size() for each in tensors if _is_dense(each))


def _is_dense(tensor: torch.Tensor) -> bool:
    import torch

    return tensor.layout == torch.strided and tensor.device.type != "meta"


def few(keys: Iterable[object]) -> str:
    """The first few keys, and how many more there are."""
    listed = [shown(key) for key in keys]
    more = f" and {len(listed) - FEW} more" if len(listed) > FEW else ""
    return ", ".join(listed[:FEW]) + more


def oddities(state: State) -> str:
    """What a state holds that is no tensor under a name, or ''."""
    odd = [key for key in state.tensors if not isinstance(key, str)]
    if odd:
        return f"{state.title} has keys that are no texts: {few(odd)}; save it with the names that the network gives"
    if state.others:
        named = few(f"{shown(key)} ({kind})" for key, kind in state.others.items())
        return f"{state.title} holds more than tensors: {named}; save the tensors by themselves"
    return ""


def faults(tensors: Mapping[Any, torch.Tensor]) -> str:
    """Which tensors no network here could take as they are, and why, or ''."""
    kinds: dict[str, list[Any]] = {}
    for key, tensor in tensors.items():
        if fault := _fault(tensor):
            kinds.setdefault(fault, []).append(key)
    listed = [f"{few(keys)} ({fault})" for fault, keys in kinds.items()]
    return f"tensors that cannot be used: {'; '.join(listed)}" if listed else ""


def _fault(tensor: torch.Tensor) -> str:
    """Why a tensor cannot be a parameter here, or ''."""
    import torch

    if tensor.device.type == "meta":
        return "on the device 'meta': a shape without values"
    if tensor.layout != torch.strided:
        return f"sparse, {str(tensor.layout).removeprefix('torch.')}; save its to_dense()"
    if tensor.is_quantized:
        return "quantised; save its dequantize()"
    if tensor.is_complex():
        return "complex numbers, of which a network of real ones would lose a half"
    return _not_finite(tensor) if tensor.is_floating_point() else ""


def _not_finite(tensor: torch.Tensor) -> str:
    try:
        plain = tensor.float()
    except (RuntimeError, NotImplementedError):
        return f"{tensor.dtype}, which cannot be turned into float32"
    if plain.isnan().any():
        return "NaN"
    return "" if plain.isfinite().all() else "infinite, in float32 at least"

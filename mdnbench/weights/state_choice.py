"""The choice of a state in a checkpoint that fits a network, and of the prefix to remove from its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mdnbench.errors import WeightsError
from mdnbench.spec.names import counted
from mdnbench.weights import states
from mdnbench.weights.reader import refusal
from mdnbench.weights.states import Checkpoint, TensorState

Tensors = dict[str, Any]
TOP = "."  # how users name the state that is the file itself
MANY = 30  # how many choices a message lists
# How badly tensors fit a network (0: they fit), and why, as the end of a sentence.
Misfit = tuple[int, str]
FitTest = Callable[[Tensors], Misfit]


class NoFit(WeightsError):
    """No state in a file fits the network.

    Attributes:
        reason: Why the best state does not fit.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(str(refusal(path, reason)))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ChosenState:
    """The tensors that were taken from a checkpoint.

    Attributes:
        state: The name of the state; '' if the file itself is the state.
        prefix: The prefix that was removed from the keys; '' if none.
        tensors: The tensors, by the network's keys.
        left_out: The keys of the state that do not begin with the prefix.
        others: The names of the states that were not taken.
    """

    state: str
    prefix: str
    tensors: Tensors
    left_out: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"the state {self.state!r}" if self.state else "the file's own tensors"]
        if self.prefix:
            parts.append(f"without the prefix {self.prefix!r}")
        if self.left_out:
            parts.append(f"leaving out {states.few(self.left_out)}")
        if self.others:
            parts.append(f"not {', '.join(map(repr, self.others))}")
        return f"{counted(len(self.tensors), 'tensor')}: {', '.join(parts)}"


def take(path: Path, fit: FitTest, *, state: str = "", prefix: str | None = None) -> ChosenState:
    """Return the only state in a file that fits a network.

    A prefix that all keys share is removed, as far as the network requires it. A prefix that contains a whole network
    (`generator.`) is also removed if other tensors are next to it.

    Args:
        path: The file.
        fit: Returns how badly tensors fit the network, and why.
        state: The name of the state to take; '' to search for one that fits.
        prefix: The prefix to remove; None to search for one.

    Returns:
        The tensors by the keys that fit, all of them dense, real and finite.

    Raises:
        NoFit: No state fits; the message ends with the reason that `fit` gives for the best one.
        WeightsError: The file cannot be read, has no such state or prefix, has tensors that cannot be used, or has
            several states with different values that fit, so the user must choose one.
    """
    found = states.checkpoint(path)
    chosen = select(found, state)
    fitting = [each for one in chosen for each in _fitting(one, fit, checked_prefix(found, chosen, prefix))]
    if not fitting:
        raise _no_fit(found, chosen, fit, prefix)
    if len(different := _different(fitting)) > 1:
        raise _choice(found, different)
    taken, own = different[0]
    if fault := states.oddities(own) or states.faults(taken.tensors):
        raise refusal(path, f"cannot be taken ({own.title}): {fault}.")
    others = tuple(each.name for each in found.states if each.name not in ("", own.name))
    left_out = tuple(key for key in own.keys if not key.startswith(taken.prefix))
    return ChosenState(own.name, taken.prefix, taken.tensors, left_out, others)


def select(found: Checkpoint, state: str) -> tuple[TensorState, ...]:
    """Return the states of a name, or all states if the name is empty.

    Raises:
        WeightsError: There is no state of this name.
    """
    if not state:
        return found.states
    state = "" if state == TOP else state
    named = tuple(each for each in found.states if state in (each.name, each.name.replace("/", ".")))
    if not named:
        known = ", ".join(repr(each.name) for each in found.states if each.name)
        raise refusal(
            found.path,
            f"has no state {state!r}; it has {known}." if known else f"has no state {state!r}: it is one itself.",
        )
    return named


def checked_prefix(found: Checkpoint, chosen: tuple[TensorState, ...], prefix: str | None) -> str | None:
    """Return the prefix, ending with a dot.

    Raises:
        WeightsError: No key of the chosen states begins with it.
    """
    if not prefix:
        return prefix
    whole = prefix if prefix.endswith(".") else f"{prefix}."
    if not any(key.startswith(whole) for each in chosen for key in each.keys):
        there = sorted({key.partition(".")[0] + "." for each in chosen for key in each.keys if "." in key})
        raise refusal(found.path, f"has no keys that begin with {whole!r}; they begin with {states.few(there)}.")
    return whole


def _fitting(state: TensorState, fit: FitTest, prefix: str | None) -> Iterator[tuple[ChosenState, TensorState]]:
    """Yield the parts of a state that fit: with the shortest shared prefix, or else each prefix of a whole network."""
    for each in candidates(state, prefix):
        tensors = state.below(each)
        if not fit(tensors)[0]:
            yield ChosenState(state.name, each, tensors), state
            return
    for each in states.partial_prefixes(state.keys) if prefix is None else ():
        tensors = state.below(each)
        if not fit(tensors)[0]:
            yield ChosenState(state.name, each, tensors), state


def candidates(state: TensorState, prefix: str | None) -> list[str]:
    """Return the prefixes that may be removed from all keys of a state: the chosen one, or all that they share."""
    return states.shared_prefixes(state.keys) if prefix is None else [prefix]


def _different(fitting: list[tuple[ChosenState, TensorState]]) -> list[tuple[ChosenState, TensorState]]:
    """Return the parts with different values; of several equal ones, the first."""
    result: list[tuple[ChosenState, TensorState]] = []
    for each in fitting:
        if not any(_equal(each[0].tensors, other[0].tensors) for other in result):
            result.append(each)
    return result


def _equal(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    if one.keys() != other.keys():
        return False
    return all(_same(one[key], other[key]) for key in one)


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one is other:
        return True
    try:
        return one.dtype == other.dtype and torch.equal(one, other)
    except (RuntimeError, NotImplementedError):  # for tensors without values
        return False


def _choice(found: Checkpoint, different: list[tuple[ChosenState, TensorState]]) -> WeightsError:
    """Return the error that lists the states or prefixes to choose from."""
    by_state = len({taken.state for taken, _ in different}) > 1
    option = "state" if by_state else "prefix"
    values = [(taken.state or TOP) if by_state else taken.prefix for taken, _ in different]
    return refusal(
        found.path, f"holds several networks that fit, with different values: {', '.join(values[:MANY])}. Choose one, "
        f"as --{option} {values[-1]} (in wrap_torch: {option}={values[-1]!r}); `mdnbench weights inspect` shows them.",
    )  # fmt: skip


def _no_fit(found: Checkpoint, chosen: tuple[TensorState, ...], fit: FitTest, prefix: str | None) -> NoFit:
    """Return the error with the reason why the best state does not fit, and the names of the others."""
    if not any(each.tensors for each in chosen) and found.beside:
        held = states.few(f"{key} ({kind})" for key, kind in found.beside.items())
        return NoFit(found.path, f"holds no tables of tensors, but {held}.")
    tried = [
        (fit(each.below(part)), each)
        for each in chosen
        for part in candidates(each, checked_prefix(found, chosen, prefix))
    ]
    (_, reason), nearest = min(tried, key=lambda pair: pair[0][0])
    names = [each.name for each in found.states if each.name]
    held = f" The file holds the states {states.few(names)}." if len(names) > 1 else ""
    why = states.oddities(nearest) if not nearest.keys else ""
    return NoFit(found.path, f"does not fit ({nearest.title}): {why or reason}{held}")

"""The training noise: for every crop, a noise and its parameters are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from mdnbench.errors import BadFile, UnknownName
from mdnbench.training.rng import TorchRng

if TYPE_CHECKING:
    from mdnbench.spec.names import Option
    from mdnbench.spec.specs import NoiseSpec
    from mdnbench.training.recipe import NoiseRange


class TrainingNoise:
    """The noise that a recipe's [[noise]] tables describe, made by the registered noises."""

    def __init__(self, ranges: Sequence[NoiseRange], noises: Mapping[str, NoiseSpec], blind: bool) -> None:
        for item in ranges:
            _check(item, noises, blind)
        self._ranges, self._blind = tuple(ranges), blind
        self._specs = [noises[item.family] for item in ranges]
        self.text = ", ".join(sorted({f"{spec.name} {spec.revision}" for spec in self._specs}))  # with revisions
        self._weights = torch.tensor([item.weight for item in ranges])

    def draw(self, clean: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return a noisy version of clean (B, C, H, W), and its std (B, 1, 1, 1) on the [0, 1] scale, None if blind."""
        if len(self._ranges) == 1:
            return self._apply(0, clean, generator)
        weights = self._weights.to(clean.device)
        chosen = torch.multinomial(weights, len(clean), replacement=True, generator=generator)
        noisy, std = torch.empty_like(clean), None if self._blind else clean.new_empty(len(clean), 1, 1, 1)
        for index in range(len(self._ranges)):
            rows = (chosen == index).nonzero().flatten()
            if len(rows):
                noisy[rows], part = self._apply(index, clean[rows], generator)
                if std is not None and part is not None:
                    std[rows] = part
        return noisy, std

    def _apply(
        self, index: int, clean: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Apply one noise to (B, C, H, W), with its own parameters for every image."""
        params: dict[str, Any] = {}
        for name, (low, high) in self._ranges[index].ranges.items():
            if low == high:
                params[name] = low
                continue
            chance = torch.rand(len(clean), 1, 1, 1, generator=generator, device=clean.device)
            params[name] = low + (high - low) * chance
        noisy = self._specs[index].apply(clean, TorchRng(generator), **params)
        if self._blind:
            return noisy, None
        std = torch.as_tensor(self._specs[index].std(**params), dtype=clean.dtype, device=clean.device)
        return noisy, std.expand(len(clean), 1, 1, 1)


def _check(item: NoiseRange, noises: Mapping[str, NoiseSpec], blind: bool) -> None:
    """Check that a noise exists, has all ranges within its parameters' bounds, and has a known std if it is needed."""
    if item.family not in noises:
        raise UnknownName("noise", item.family, noises)
    spec = noises[item.family]
    known = [option.name for option in spec.parameters]
    for name in item.ranges:
        if name not in known:
            raise UnknownName(f"parameter of noise {item.family!r}", name, known)
    for option in spec.parameters:
        # Required even if it has a default: the card must record the range that weights were trained for.
        if option.name not in item.ranges:
            raise BadFile(f"the recipe's noise {item.family!r} lacks a range for {option.name}.")
        _check_range(option, item)
    if not blind and spec.std(**{name: high for name, (_, high) in item.ranges.items()}) is None:
        raise BadFile(
            f"the noise {item.family!r} has no level that the network could receive; set blind = true in the recipe."
        )


def _check_range(option: Option, item: NoiseRange) -> None:
    """Raise BadOption if the parameter does not allow an end of the range, BadFile if no value between can be drawn."""
    ends = item.ranges[option.name]
    if option.type not in (int, float):
        return
    for end in ends:
        option.parse(end, f"the recipe's noise {item.family!r}")
    low, high = ends
    if low != high and (option.type is int or option.choices):
        raise BadFile(
            f"the recipe's noise {item.family!r} has {option.name} from {low:g} to {high:g}, and a {option.name} "
            f"cannot be drawn from between: give one value, {option.name} = [{low:g}, {low:g}], and other values in "
            "[[noise]] tables of their own."
        )

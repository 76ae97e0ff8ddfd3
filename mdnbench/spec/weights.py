"""Weights as methods receive them: the file, and its card, which records where they come from and what they are for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdnbench.spec.names import Named


@dataclass(frozen=True, slots=True)
class NoiseCoverage:
    """A noise that weights were trained for.

    Attributes:
        family: The name of the noise.
        ranges: The lowest and highest value of each parameter.
    """

    family: str
    ranges: dict[str, tuple[float, float]]

    def holds(self, noise: Named) -> bool:
        """Return whether the noise has this name, and all its parameters are within the ranges."""
        inside = (low <= noise.numbers().get(name, low) <= high for name, (low, high) in self.ranges.items())
        return noise.name == self.family and all(inside)

    def width(self) -> float:
        """Return the sum of the ranges' widths: 0 for a single level."""
        return sum(high - low for low, high in self.ranges.values())

    def __str__(self) -> str:
        spans = (f"{name} {low:g}" + (f"–{high:g}" if high > low else "") for name, (low, high) in self.ranges.items())
        return " ".join([self.family, ", ".join(spans)]).strip()


@dataclass(frozen=True, slots=True)
class Card:
    """The record of where weights come from and what they are for.

    Attributes:
        method: The method whose network has these weights.
        options: The options that the network was made with.
        blind: Whether the network works without the noise level.
        noise: The noises that it was trained for.
        mask: A description of what was hidden in training.
        revision: The revision of the method.
        recipe: The recipe, as a table of a recipe file. Following it trains the network again.
        recipe_digest: The SHA-256 of the recipe.
        data: The SHA-256 of each training file, by file name.
        left_out: The images of the data set that were not used.
        packages: The versions of the packages that training used.
        device: The device that training used.
        minutes: The time that training took.
        steps: The number of training steps.
        validation_psnr: The PSNR in dB over images that were held out of the training data.
        source: The name of the file that imported weights come from.
        source_sha256: The SHA-256 of that file.
        sha256: The SHA-256 of the safetensors file.
        bytes: The size of the safetensors file.
        notes: More information in words.
        keep: The fraction of channels that a pruned network still has; 1 if it is not pruned.
        pruned_from: The SHA-256 of the weights that it was pruned from.
        begun_from: The SHA-256 of the weights that training began with.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    blind: bool = False
    noise: tuple[NoiseCoverage, ...] = ()
    mask: str = ""
    revision: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    recipe_digest: str = ""
    data: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)
    device: str = ""
    minutes: float = 0.0
    steps: int = 0
    validation_psnr: float | None = None
    source: str = ""
    source_sha256: str = ""
    sha256: str = ""
    bytes: int = 0
    notes: str = ""
    keep: float = 1.0
    pruned_from: str = ""
    begun_from: str = ""


@dataclass(frozen=True, slots=True)
class Weights:
    """A weights file that can be loaded.

    Attributes:
        name: The name by which users refer to it.
        path: The safetensors file.
        sha256: The SHA-256 of the file.
        card: The file's card.
    """

    name: str
    path: Path
    sha256: str
    card: Card

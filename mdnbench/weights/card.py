"""The card of a weights file: it records where the weights come from and which noises they are for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from mdnbench.spec import tomlfile

if TYPE_CHECKING:
    from mdnbench.spec.names import Named
    from mdnbench.spec.specs import DatasetSpec
    from mdnbench.training.recipe import Recipe


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


def read(card_path: Path) -> Weights:
    """Return the weights that a card describes, without loading the tensors.

    Args:
        card_path: The card, NAME.toml, which is next to NAME.safetensors.
    """
    card = _card(card_path, _signature(card_path))
    return Weights(card_path.stem, card_path.with_suffix(".safetensors"), card.sha256, card)


def _signature(path: Path) -> tuple[int, ...]:
    """Return values that change when a file changes; nothing for a missing file, which is reported when it is read."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(maxsize=256)
def _card(path: Path, signature: tuple[int, ...]) -> Card:
    """Return the card in a file. It is read again only if the file changes, because plans need the same cards often."""
    return tomlfile.build(Card, tomlfile.read(path, "card"), f"the card {path}")


def covers(recipe: Recipe) -> tuple[NoiseCoverage, ...]:
    """Return the noises that a recipe trains for."""
    return tuple(NoiseCoverage(item.family, dict(item.ranges)) for item in recipe.noise)


def seen(card: Card, dataset: DatasetSpec, images: Collection[str]) -> str:
    """Return a note for scores of weights that were trained on the tested images; '' if no common file is known.

    Files are compared by their SHA-256. Copies with other bytes are found by the leak guard, before training.

    Args:
        card: The card of the weights.
        dataset: The data set of the test.
        images: The ids of the tested images.
    """
    trained = set(card.data.values())
    common = {PurePath(file.name).stem for file in dataset.files if file.sha256 in trained}
    if common and common.isdisjoint(dataset.images):  # several images in one file
        return f"its training saw {dataset.name} itself"
    count = len(common.intersection(images).difference(card.left_out))
    return f"its training saw {count} of these {len(images)} images" if count else ""

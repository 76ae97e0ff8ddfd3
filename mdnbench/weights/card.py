"""The card of a weights file: where the weights come from, and which noises they are for."""

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
class Cover:
    """A noise that weights were trained for: a family, and from where to where each parameter ran."""

    family: str
    ranges: dict[str, tuple[float, float]]

    def holds(self, noise: Named) -> bool:
        """Whether the noise is of this family with every parameter within the ranges."""
        inside = (low <= noise.numbers().get(name, low) <= high for name, (low, high) in self.ranges.items())
        return noise.name == self.family and all(inside)

    def width(self) -> float:
        """How wide the ranges are, summed: 0 for a single level."""
        return sum(high - low for low, high in self.ranges.values())

    def __str__(self) -> str:
        spans = (f"{name} {low:g}" + (f"–{high:g}" if high > low else "") for name, (low, high) in self.ranges.items())
        return " ".join([self.family, ", ".join(spans)]).strip()


@dataclass(frozen=True, slots=True)
class Card:
    """Where weights come from and what they are for.

    `options` are those the network was made from; `blind` says that it takes no noise level; `noise` is what it was
    trained for; `mask` says in words what was hidden in training; `recipe` is followed to train it again (a table, as
    in a recipe file); `data` maps each training file to its SHA-256, `left_out` are the images not used although the
    data set has them; `minutes`, `steps` and `device` say what training took; `validation_psnr` is in dB, over images
    held out of the training data; `source` and `source_sha256` are of imported weights; `sha256` and `bytes` are the
    safetensors file's own. Of a pruned network `keep` is the share of channels that was kept, and `pruned_from` the
    SHA-256 of the weights that it was pruned from; `begun_from` is that of the weights that training began with.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    blind: bool = False
    noise: tuple[Cover, ...] = ()
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
    """A weights file, ready to be read: the name a person gives, the path, its SHA-256 and its card."""

    name: str
    path: Path
    sha256: str
    card: Card


def read(card_path: Path) -> Weights:
    """The weights that a card (NAME.toml) stands beside; the tensors stay on disk."""
    card = _card(card_path, _signature(card_path))
    return Weights(card_path.stem, card_path.with_suffix(".safetensors"), card.sha256, card)


def _signature(path: Path) -> tuple[int, ...]:
    """What a file that has changed has another one of; nothing for a missing one, which is refused when it is read."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(maxsize=256)
def _card(path: Path, signature: tuple[int, ...]) -> Card:
    """The card in a file, read anew when the file changes: a plan asks for the same cards for each noise."""
    return tomlfile.build(Card, tomlfile.read(path, "card"), f"the card {path}")


def covers(recipe: Recipe) -> tuple[Cover, ...]:
    """The noises that a recipe trains for."""
    return tuple(Cover(item.family, dict(item.ranges)) for item in recipe.noise)


def seen(card: Card, dataset: DatasetSpec, images: Collection[str]) -> str:
    """What stands beside a score of these images by weights with this card; '' where no file is known to be common.

    Files are compared by their SHA-256: a copy in other bytes is for the leak guard to find, before training.
    """
    trained = set(card.data.values())
    common = {PurePath(file.name).stem for file in dataset.files if file.sha256 in trained}
    if common and common.isdisjoint(dataset.images):  # several images in one file
        return f"its training saw {dataset.name} itself"
    count = len(common.intersection(images).difference(card.left_out))
    return f"its training saw {count} of these {len(images)} images" if count else ""

"""Read the card of a weights file."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from mdnbench.spec import tomlfile
from mdnbench.spec.weights import Card, Weights

if TYPE_CHECKING:
    from mdnbench.spec.specs import DatasetSpec


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

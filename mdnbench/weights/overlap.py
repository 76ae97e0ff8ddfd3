"""Whether weights were trained on the very images that they are tested on."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdnbench.spec.specs import DatasetSpec
    from mdnbench.weights.card import Card


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

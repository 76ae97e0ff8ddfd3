"""The comparison of the images that weights were trained on with those that they are tested on."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdnbench.spec.specs import DatasetSpec
    from mdnbench.weights.card import Card


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

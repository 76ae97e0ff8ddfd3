"""The calibration data of networks in eight bits: crops of training images with training noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mdnbench import data
from mdnbench.errors import DataMissing, Unavailable
from mdnbench.spec import tomlfile
from mdnbench.training import patches
from mdnbench.training.mixture import Mixture
from mdnbench.training.recipe import Recipe
from mdnbench.training.validation import held_out
from mdnbench.wrappers import inference

if TYPE_CHECKING:
    import torch

    from mdnbench.registry import Registry
    from mdnbench.weights import Weights

COUNT, CROP = 32, 128


def images(known: Registry, weights: Weights) -> tuple[str, ...]:
    """Return the ids of the calibration images, spread evenly over those that the weights were trained on.

    Test images, images that overlap them, and validation images are excluded.

    Raises:
        Unavailable: The training data set is not registered, or the card has no recipe.
    """
    recipe = _recipe(weights)
    if recipe.data not in known.datasets:
        raise Unavailable(f"{recipe.data}, which {weights.name} was trained on, is no data set here.")
    everything = sorted(known.datasets[recipe.data].images)
    away = {*weights.card.left_out, *held_out(everything, recipe.validation.count)}
    used = [image for image in everything if image not in away]
    count = min(COUNT, len(used))
    return tuple(used[(2 * index + 1) * len(used) // (2 * count)] for index in range(count))


def batches(known: Registry, weights: Weights) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """Yield the calibration crops, the same ones every time.

    Yields:
        The noisy crop (1, C, H, W), and the standard deviation of its noise (1, 1, 1, 1), or None for a blind network.

    Raises:
        Unavailable: The training data cannot be obtained, or the card does not name it.
    """
    import torch

    chosen, recipe = images(known, weights), _recipe(weights)
    spec = known.datasets[recipe.data]
    try:
        data.fetch(spec)
    except DataMissing as error:
        raise Unavailable(f"int8 is calibrated on the training images, and these are not here: {error}") from None
    try:
        loaded = patches.load(chosen, spec.load, inference.channels_of(weights))
    except OSError as error:
        raise Unavailable(f"int8 is calibrated on the training images, and one cannot be read: {error}") from None
    crop = min([CROP, *(side for image in loaded for side in image.shape[:2])])
    generator = torch.Generator().manual_seed(0)
    clean = patches.Patches(loaded, crop, "cpu", "none").draw(len(loaded), generator)
    noisy, std = Mixture(recipe.noise, known.noises, weights.card.blind).draw(clean, generator)
    for index in range(len(noisy)):
        yield noisy[index : index + 1].contiguous(), None if std is None else std[index : index + 1]


def _recipe(weights: Weights) -> Recipe:
    if not weights.card.recipe:
        raise Unavailable(
            f"nothing says what the weights {weights.name} were trained on, and int8 is calibrated on training images; "
            "use other weights, or another precision."
        )
    return tomlfile.build(Recipe, weights.card.recipe, f"the recipe of the weights {weights.name}")

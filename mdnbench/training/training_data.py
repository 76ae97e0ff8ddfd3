"""The data of a training: clean crops, their noise, and the images held out for validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdnbench.errors import UsageError
from mdnbench.training import patches, validation
from mdnbench.training.training_noise import TrainingNoise
from mdnbench.training.validation import Validator, held_out

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.specs import DatasetSpec, NoiseSpec
    from mdnbench.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The crops, noise and validation of one training.

    Attributes:
        recipe: The recipe.
        crops: The training images, to draw crops from.
        mixture: The noise.
        validator: The validation.
        images: The ids of the training images.
        left_out: The ids of images that are available but not used.
    """

    recipe: Recipe
    crops: patches.Patches
    mixture: TrainingNoise
    validator: Validator
    images: tuple[str, ...]
    left_out: tuple[str, ...]

    def draw(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return a batch: clean and noisy (B, C, crop, crop), and the noise's std (B, 1, 1, 1), or None if blind."""
        clean = self.crops.draw(self.recipe.batch, generator)
        if self.recipe.jitter and clean.shape[1] == 3:
            clean = patches.jitter(clean, self.recipe.jitter, generator)
        noisy, std = self.mixture.draw(clean, generator)
        return clean, noisy, std


def gather(
    recipe: Recipe,
    data: DatasetSpec,
    noises: Mapping[str, NoiseSpec],
    exclude: Iterable[str],
    colour: bool,
    device: str,
) -> TrainingData:
    """Load all data onto the device.

    Validation images are held out before images are left out, so a validation image never becomes a training image.

    Args:
        recipe: The recipe.
        data: The data set.
        noises: The registered noises.
        exclude: The ids of images to leave out.
        colour: Whether to train on colour images.
        device: The device.

    Raises:
        BadFile: The recipe's noises cannot be used. This is checked before anything is loaded.
        UsageError: No image is left to train on.
    """
    mixture = TrainingNoise(recipe.noise, noises, recipe.blind)
    validation.check(recipe.validation, noises, recipe.blind)
    channels = 3 if colour else 1
    left_out = set(exclude) & set(data.images)
    everything = sorted(data.images)  # the order in a manifest must not matter
    held = held_out(everything, recipe.validation.count)
    used = tuple(image for image in everything if image not in {*held, *left_out})
    if not used:
        raise UsageError(
            f"none of the {len(everything)} images of {data.name} is left to train on: {len(held)} are held out for "
            f"validation and {len(left_out)} left out because they overlap test data; train on other data."
        )
    images = patches.load(used, data.load, channels)
    copies = [patches.rescaled(image, scale) for scale in recipe.scales for image in images]
    checked = patches.load([image for image in held if image not in left_out], data.load, channels)
    return TrainingData(
        recipe,
        patches.Patches(copies, recipe.crop, device, recipe.flips),
        mixture,
        Validator(checked, recipe.validation, noises, device),
        used,
        tuple(sorted(left_out)),
    )

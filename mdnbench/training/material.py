"""What a training draws from: clean crops, their noise, and the images held out for validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdnbench.errors import UsageError
from mdnbench.training import patches, validation
from mdnbench.training.mixture import Mixture
from mdnbench.training.validation import Validator, held_out

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.specs import DatasetSpec, NoiseSpec
    from mdnbench.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Material:
    """Crops, noise and validation of one training; `images` are trained on, `left_out` are not, though at hand."""

    recipe: Recipe
    crops: patches.Patches
    mixture: Mixture
    validator: Validator
    images: tuple[str, ...]
    left_out: tuple[str, ...]

    def draw(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """A batch: clean and noisy (B, C, crop, crop), and the noise's std (B, 1, 1, 1) or None when blind."""
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
) -> Material:
    """Load everything onto the device; BadFile, before anything is loaded, for noises that cannot be followed.

    Validation images are held out first, so that leaving images out never moves one from there into training.
    """
    mixture = Mixture(recipe.noise, noises, recipe.blind)
    validation.check(recipe.validation, noises, recipe.blind)
    channels = 3 if colour else 1
    left_out = set(exclude) & set(data.images)
    everything = sorted(data.images)  # so that a manifest in another order trains the same
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
    return Material(
        recipe,
        patches.Patches(copies, recipe.crop, device, recipe.flips),
        mixture,
        Validator(checked, recipe.validation, noises, device),
        used,
        tuple(sorted(left_out)),
    )

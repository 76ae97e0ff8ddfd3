"""Recipes: everything that decides how a network is trained, read from a TOML file."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mdnbench.errors import BadFile, UnknownName, UsageError
from mdnbench.spec import tomlfile
from mdnbench.util import digests

if TYPE_CHECKING:
    from mdnbench.spec.specs import DenoiserSpec, Trainable


@dataclass(frozen=True, slots=True)
class NoiseRange:
    """One noise of the training: each parameter is drawn uniformly from [low, high] for every crop.

    Attributes:
        family: The name of the noise.
        ranges: The range of each parameter.
        weight: How often this noise is drawn, relative to the others.
    """

    family: str
    ranges: dict[str, tuple[float, float]]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in a training: the number of steps done, and the fraction of the budget used up (0 to 1)."""

    step: int
    progress: float


@dataclass(frozen=True, slots=True)
class Mask:
    """How many of the pixels are hidden in training.

    Attributes:
        start: The fraction that is hidden at first.
        end: The fraction that is hidden at `until`.
        until: The progress from which nothing is hidden.
        whole_every: Every so many steps nothing is hidden (0: never), because the network must also see whole images,
            as it will in use.
        patch: The side of the squares of pixels that are hidden together.
        kept: The weight of the visible pixels in the loss.
        hidden: The weight of the hidden pixels in the loss.
    """

    start: float = 0.3
    end: float = 0.3
    until: float = 1.0
    whole_every: int = 0
    patch: int = 1
    kept: float = 0.7
    hidden: float = 0.3

    def ratio(self, moment: Moment) -> float:
        """Return the fraction of pixels to hide at a moment."""
        whole = self.whole_every and moment.step % self.whole_every == 0
        if whole or moment.progress >= self.until:
            return 0.0
        return self.start + (self.end - self.start) * moment.progress / self.until


@dataclass(frozen=True, slots=True)
class Loss:
    """The penalty of errors.

    Attributes:
        kind: 'l1', 'l2', 'rmse' or 'charbonnier'. 'rmse' is the root of 'l2' for each crop, so crops with strong noise
            do not outweigh those with weak noise.
        stages: How many coarser scales are added, which fade out; 0 for none.
    """

    kind: Literal["l1", "l2", "rmse", "charbonnier"] = "l1"
    stages: int = 0


@dataclass(frozen=True, slots=True)
class Optimiser:
    """The optimiser and its settings.

    Attributes:
        kind: 'adamw' or 'muon'.
        lr: The highest learning rate.
        betas: The decay rates of the first and second moments.
        weight_decay: The decay of the weights.
        clip: The largest gradient norm; 0 for no clipping.
        warmup: The number of steps over which the learning rate rises.
    """

    kind: Literal["adamw", "muon"] = "adamw"
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float = 1.0
    warmup: int = 100


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """How the learning rate falls.

    Attributes:
        kind: 'cosine' and 'exponential' fall over the whole budget. 'wsd' stays constant, and falls at the end, which
            suits trainings that are continued.
        final: The learning rate at the end.
        cooldown: The fraction of the budget over which 'wsd' falls.
    """

    kind: Literal["cosine", "exponential", "wsd"] = "cosine"
    final: float = 1e-6
    cooldown: float = 0.25

    @property
    def falling(self) -> float:
        """Return the progress at which the learning rate begins to fall. Until then, the budget may be changed."""
        return 1 - self.cooldown if self.kind == "wsd" else 0.0


@dataclass(frozen=True, slots=True)
class Validation:
    """The validation on images that are held out of the training data.

    Attributes:
        count: The number of images.
        crop: The side of the crops in pixels.
        every: The number of steps between two validations.
        noise: The noises to remove, such as `gaussian:50`. The mean PSNR over all of them is logged.
    """

    count: int = 12
    crop: int = 192
    every: int = 1000
    noise: tuple[str, ...] = ("gaussian:25", "gaussian:50")


@dataclass(frozen=True, slots=True)
class Budget:
    """When training ends. Exactly one of the three fields is above zero."""

    minutes: float = 0.0
    steps: int = 0
    epochs: float = 0.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how a network is trained, except for data, device and network options.

    Attributes:
        data: The training data set.
        summary: A description for users.
        crop: The side of the square training crops in pixels.
        batch: The number of crops in a step.
        patches_per_epoch: The number of crops in an epoch; 0 for the number of images.
        scales: The scales of the images; values below 1 add smaller copies.
        flips: Which flips are allowed; 'all' includes transposes.
        jitter: The strength of the colour jitter, for colour only.
        noise: The noises to train for.
        blind: Whether the network works without the noise level.
        loss: The loss.
        mask: How much is hidden; None for nothing.
        optimiser: The optimiser.
        schedule: The schedule of the learning rate.
        validation: The validation.
        budget: When training ends.
        ema: The decay of the moving average of the weights.
        precision: The precision in which the network runs.
        channels_last: Whether tensors are stored with their channels last.
        seed: The seed of all random numbers.
    """

    data: str = "bsd400"
    summary: str = ""
    crop: int = 96
    batch: int = 16
    patches_per_epoch: int = 0
    scales: tuple[float, ...] = (1.0,)
    flips: Literal["all", "horizontal", "none"] = "all"
    jitter: float = 0.0
    noise: tuple[NoiseRange, ...] = ()
    blind: bool = False
    loss: Loss = field(default_factory=Loss)
    mask: Mask | None = None
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: RateSchedule = field(default_factory=RateSchedule)
    validation: Validation = field(default_factory=Validation)
    budget: Budget = field(default_factory=Budget)
    ema: float = 0.999
    precision: Literal["bf16", "fp32"] = "bf16"
    channels_last: bool = True
    seed: int = 1

    def digest(self) -> str:
        """Return the SHA-256 of everything that decides the result, which does not include the summary."""
        table = dataclasses.asdict(self)
        del table["summary"]
        return digests.of_parts("recipe", table)

    def within(self, *, minutes: float | None = None, steps: int | None = None, epochs: float | None = None) -> Recipe:
        """Return the recipe with another budget, or the recipe itself if no budget is given."""
        given = {"minutes": minutes, "steps": steps, "epochs": epochs}
        chosen = {key: value for key, value in given.items() if value is not None}
        return override(self, {"budget": chosen}) if chosen else self


def read(path: Path) -> Recipe:
    """Return the recipe in a TOML file.

    Raises:
        BadFile: The file is not a valid recipe.
        UnknownName: The file has an unknown key.
    """
    return checked(tomlfile.build(Recipe, tomlfile.read(path, "recipe"), f"the recipe {path.name}"), path.name)


def named(folder: Path, name: str) -> Recipe:
    """Return a recipe by name.

    Args:
        folder: The folder with the method's recipes.
        name: The name of a recipe in the folder, or the path of a file if it ends in .toml.

    Raises:
        UnknownName: There is no such recipe.
        BadFile: The file is not a valid recipe.
    """
    if name.endswith(".toml"):
        return read(Path(name))
    if not (path := folder / f"{name}.toml").is_file():
        raise UnknownName("recipe", name, (file.stem for file in folder.glob("*.toml")))
    return read(path)


def trainable_of(spec: DenoiserSpec) -> Trainable:
    """Return how a learned method is trained.

    Raises:
        UsageError: The method is not learned.
    """
    if spec.trainable is None:
        raise UsageError(f"{spec.name} is not a learned method; there is nothing to train.")
    return spec.trainable


def override(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """Return a recipe with some keys changed. A table is changed key by key, but a budget is replaced as a whole."""
    table = plain(recipe)
    for key, value in changes.items():
        old = table.get(key) or {}
        partly = key != "budget" and isinstance(value, dict) and isinstance(old, dict)
        table[key] = {**old, **value} if partly else value
    return checked(tomlfile.build(Recipe, _listed(table), "the recipe"), "with these changes")


def checked(recipe: Recipe, name: str) -> Recipe:
    """Return the recipe if its values make sense.

    Raises:
        BadFile: They do not; the message names the problem.
    """
    budget, mask = [value for value in dataclasses.astuple(recipe.budget) if value], recipe.mask
    problems = {
        "its budget must give one of minutes, steps and epochs, above 0 and finite": (
            len(budget) == 1 and 0 < budget[0] < math.inf
        ),
        "it needs at least one [[noise]] table": bool(recipe.noise),
        "a noise range must run from its low to its high end": all(
            low <= high for noise in recipe.noise for low, high in noise.ranges.values()
        ),
        "a noise's weight must be above 0": all(noise.weight > 0 for noise in recipe.noise),
        "crop and batch must be at least 1": min(recipe.crop, recipe.batch) >= 1,
        "scales must lie above 0 and at most 1": bool(recipe.scales) and all(0 < s <= 1 for s in recipe.scales),
        "the mask's ratios must lie from 0 to below 1": mask is None or all(0 <= r < 1 for r in (mask.start, mask.end)),
        "the mask's until must lie above 0 and at most 1": mask is None or 0 < mask.until <= 1,
        "the mask's patch must be at least 1": mask is None or mask.patch >= 1,
        "ema must lie from 0 to below 1": 0 <= recipe.ema < 1,
        "the learning rate must be above 0": recipe.optimiser.lr > 0,
        "betas must lie from 0 to below 1": all(0 <= beta < 1 for beta in recipe.optimiser.betas),
        "weight_decay, clip, warmup and jitter must be at least 0": (
            min(recipe.optimiser.weight_decay, recipe.optimiser.clip, recipe.optimiser.warmup, recipe.jitter) >= 0
        ),
        "the schedule's final rate must be at least 0, and above 0 if it falls exponentially": (
            recipe.schedule.final > 0 or (recipe.schedule.final == 0 and recipe.schedule.kind != "exponential")
        ),
        "the schedule's cooldown must lie above 0 and at most 1": 0 < recipe.schedule.cooldown <= 1,
        "validation must be every 1 or more steps, on 0 or more images, of 1 or more pixels a side": (
            min(recipe.validation.every, recipe.validation.crop) >= 1 and recipe.validation.count >= 0
        ),
    }
    for problem, fine in problems.items():
        if not fine:
            raise BadFile(f"the recipe {name} cannot be followed: {problem}.")
    return recipe


def plain(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as the table that a recipe file contains."""
    table: dict[str, Any] = _listed(dataclasses.asdict(recipe))
    return table


def _listed(value: Any) -> Any:
    """Return a value in TOML's types: tuples as lists, and without entries that are None."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items() if item is not None}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value

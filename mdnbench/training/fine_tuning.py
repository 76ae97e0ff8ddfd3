"""Fine-tuning: a training that starts from given weights instead of random ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdnbench import weights
from mdnbench.errors import UsageError
from mdnbench.registry import variants
from mdnbench.spec.names import Named, show
from mdnbench.training.deploy import loaded_network
from mdnbench.training.recipe import trainable_of

if TYPE_CHECKING:
    from mdnbench.spec.specs import DenoiserSpec
    from mdnbench.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """The input of the loop.

    Attributes:
        spec: The method whose network is trained.
        method: The method with its options.
        recipe: The recipe.
        facts: More fields for the card.
        half: Whether to save the weights in half precision.
    """

    spec: DenoiserSpec
    method: Named
    recipe: Recipe
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    half: bool = False


def task(spec: DenoiserSpec, method: Named, recipe: Recipe, start: str = "") -> TrainingTask:
    """Return the task of training a method's network.

    If `start` is given, the network is the one that these weights denoise with: batch normalisation that was folded
    into them stays folded.

    Args:
        spec: The learned method.
        method: The method with its options.
        recipe: The recipe.
        start: The name of the weights to start from; '' for random ones.

    Raises:
        UsageError: The recipe does not suit the weights.
        WeightsError: The weights are damaged, or belong to another network.
    """
    trainable = trainable_of(spec)
    if not start:
        return TrainingTask(spec, method, recipe)
    parent = weights.named(spec, start, method)
    card = parent.card
    if card.blind != recipe.blind:
        told = "withholds the noise level from" if recipe.blind else "tells the noise level to"
        raise UsageError(
            f"the recipe {told} the network, and the weights {start} are of one that is used otherwise; "
            f"add --set blind={show(card.blind)}, or begin with other weights."
        )
    begun = dataclasses.replace(trainable, network=lambda **_: loaded_network.filled(spec, parent), export=None)
    options = tuple({**variants.own(spec, method), **card.options}.items())
    return TrainingTask(
        dataclasses.replace(spec, trainable=begun),
        Named(f"{spec.name}-from-{parent.sha256[:8]}", options, spec.name),
        recipe,
        {
            "begun_from": parent.sha256,
            "notes": f"begun from the weights {start}, which were trained for {card.steps} steps",
        },
    )

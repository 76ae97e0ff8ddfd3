"""Fine-tuning: a training that begins from weights that are there, instead of from random ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdnbench import weights
from mdnbench.errors import UsageError
from mdnbench.registry import variants
from mdnbench.spec.names import Named, show
from mdnbench.training.deploy import networks
from mdnbench.training.recipe import trainable_of

if TYPE_CHECKING:
    from mdnbench.spec.specs import DenoiserSpec
    from mdnbench.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Task:
    """What the loop is given: a spec whose network is to be trained, its method, a recipe, and facts for the card."""

    spec: DenoiserSpec
    method: Named
    recipe: Recipe
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    half: bool = False


def task(spec: DenoiserSpec, method: Named, recipe: Recipe, start: str = "") -> Task:
    """The training of a method's network, which begins with the weights of the name `start` if there is one.

    The network is then the one that those weights denoise with: batch normalisation that was folded away stays folded.
    UsageError where the recipe does not suit them; WeightsError where they are damaged, or of another network.
    """
    trainable = trainable_of(spec)
    if not start:
        return Task(spec, method, recipe)
    parent = weights.named(spec, start, method)
    card = parent.card
    if card.blind != recipe.blind:
        told = "withholds the noise level from" if recipe.blind else "tells the noise level to"
        raise UsageError(
            f"the recipe {told} the network, and the weights {start} are of one that is used otherwise; "
            f"add --set blind={show(card.blind)}, or begin with other weights."
        )
    begun = dataclasses.replace(trainable, network=lambda **_: networks.filled(spec, parent), export=None)
    options = tuple({**variants.own(spec, method), **card.options}.items())
    return Task(
        dataclasses.replace(spec, trainable=begun),
        Named(f"{spec.name}-from-{parent.sha256[:8]}", options, spec.name),
        recipe,
        {"begun_from": parent.sha256, "notes": f"begun from the weights {start}, after {card.steps} steps"},
    )

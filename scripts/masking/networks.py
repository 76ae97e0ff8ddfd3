"""Define the networks of the experiment, the length of their trainings, and find their cards."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mdnbench import registry, weights
from mdnbench.training import recipe as recipes
from mdnbench.weights import Card

ONE_LEVEL: dict[str, Any] = {
    "noise": [{"family": "gaussian", "ranges": {"sigma": [25, 25]}}],
    "blind": True,
    "validation": {"noise": ["gaussian:25"]},
    "loss": {"kind": "l1"},
    "scales": [1.0],
}
RATIOS = (0.1, 0.5, 0.7, 0.9)


@dataclass(frozen=True, slots=True)
class Network:
    """One network of the experiment.

    Attributes:
        name: The name of its weights.
        method: The learned method.
        recipe: The recipe of the training.
        changes: Changes to the recipe, by key.
    """

    name: str
    method: str
    recipe: str = "best"
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def text(self) -> str:
        """The method with these weights, as a run names it."""
        return f"{self.method}[weights={self.name}]"


def networks() -> list[Network]:
    """Return all networks, those for the main contrasts first."""
    found = []
    for seed in (1, 2):
        for method in ("unet", "masked-unet"):
            short = "masked" if method == "masked-unet" else "plain"
            found.append(Network(f"masking-gaussian-{short}-{seed}", method, "best", ONE_LEVEL | {"seed": seed}))
            found.append(Network(f"masking-mixed-{short}-{seed}", method, "mixed", {"seed": seed}))
    for ratio in RATIOS:
        mask = {"mask": {"start": ratio, "end": ratio}, "seed": 1}
        found.append(Network(f"masking-ratio-{ratio:g}", "masked-unet", "best", ONE_LEVEL | mask))
    return [*found, Network("masking-article", "masked-unet", "article", {"seed": 1})]


def steps_of(network: Network, steps: int) -> int:
    """Return the number of steps in which this network is trained on as many pixels as ours in `steps` steps."""
    known = registry.load()
    ours, its = (
        recipes.named(recipes.trainable_of(known.denoisers[method]).recipes, recipe)
        for method, recipe in (("masked-unet", "best"), (network.method, network.recipe))
    )
    return max(1, round(steps * ours.batch * ours.crop**2 / (its.batch * its.crop**2)))


def card_of(network: Network) -> Card | None:
    """Return the card of a network's weights, or None if it is not trained yet."""
    found = {each.name: each for each in weights.trained(network.method)}
    return found[network.name].card if network.name in found else None

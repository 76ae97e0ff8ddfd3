"""The rule of learned methods, and the weights of an untrained network for a method that has no weights yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mdnbench import weights
from mdnbench.errors import MdnbenchError
from mdnbench.spec.weights import NoiseCoverage
from mdnbench.testing.rules import samples
from mdnbench.testing.rules.methods import MethodSubject
from mdnbench.testing.rules.rule import Rule, RuleBroken
from mdnbench.training import recipe
from mdnbench.training.recipe import Moment
from mdnbench.training.rng import TorchRng

if TYPE_CHECKING:
    from mdnbench.spec.specs import DenoiserSpec, Trainable
    from mdnbench.training.recipe import Recipe
    from mdnbench.weights import Weights

SIDE = 48


def untrained(spec: DenoiserSpec, folder: Path) -> Weights:
    """Write the weights of an untrained network, the same each time. The rules apply to them as to any others.

    Args:
        spec: The learned method.
        folder: The folder to write to.
    """
    assert spec.trainable is not None
    torch.manual_seed(0)
    options = samples.values(spec.options)
    network = spec.trainable.network(blind=False, **options)
    state = spec.trainable.export(network) if spec.trainable.export else network.state_dict()
    card = weights.Card(spec.name, dict(options), noise=(NoiseCoverage("gaussian", {"sigma": (0.0, 75.0)}),))
    return weights.save(folder / spec.name, "untrained", state, card)


def trains(method: MethodSubject) -> None:
    """A learned method has a recipe `best`, all its recipes can be followed, and its loss has a gradient."""
    trainable = method.spec.trainable
    if trainable is None:
        return
    names = sorted(path.stem for path in trainable.recipes.glob("*.toml"))
    if "best" not in names:
        raise RuleBroken(f"a recipe best.toml in {trainable.recipes}", ", ".join(names) or "no recipe", "write one.")
    for name in names:
        try:
            _follow(method, trainable, recipe.named(trainable.recipes, name))
        except MdnbenchError as error:
            raise RuleBroken(f"the recipe {name!r} to be one that the method follows", str(error), "fix it.") from error


def _follow(method: MethodSubject, trainable: Trainable, order: Recipe) -> None:
    fix = "return a mean over all pixels: `(network(noisy, std) - clean).abs().mean()`."
    network = trainable.network(blind=order.blind, **samples.values(method.spec.options))
    clean = torch.from_numpy(samples.clean(1, (SIDE, SIDE)))[None, None].repeat(2, 1, 1, 1)
    std = torch.full((2, 1, 1, 1), samples.STD)
    rng = TorchRng(torch.Generator().manual_seed(0))
    noisy = clean + rng.normal(tuple(clean.shape)) * std
    loss: Any = trainable.loss(network, clean, noisy, None if order.blind else std, rng, Moment(0, 0.0), order)
    if loss.numel() != 1 or not bool(torch.isfinite(loss).all()):
        raise RuleBroken("one finite number as loss", f"a tensor of shape {tuple(loss.shape)}", fix)
    loss.backward()
    if not any(each.grad is not None and bool(each.grad.any()) for each in network.parameters()):
        raise RuleBroken("a loss that has a gradient", "none in any of the network's parameters", fix)


RULES = (Rule("contract-training", trains),)

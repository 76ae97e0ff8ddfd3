"""The choice of the weights that a method uses for a noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdnbench.errors import WeightsError
from mdnbench.registry import variants
from mdnbench.spec.names import Named, show
from mdnbench.spec.weights import Card, Weights
from mdnbench.weights.available import AUTO, find, shipped, trained

if TYPE_CHECKING:
    from mdnbench.spec.specs import DenoiserSpec

USUAL = "gaussian"  # the noise to choose weights for if none is given


@dataclass(frozen=True, slots=True)
class Resolved:
    """The weights that a method uses for a noise.

    Attributes:
        weights: The weights.
        note: A note if the weights were trained for another noise.
    """

    weights: Weights
    note: str = ""


def resolve(spec: DenoiserSpec, method: Named, noise: Named | None, *, fallback: bool = True) -> Resolved | None:
    """Return the weights that a method uses for a noise.

    The first of these is used:

    1. The weights that the method's option `weights` names. Imported weights are used only in this way, because nothing
       records what they were trained for.
    2. Shipped weights that cover the noise. The narrowest cover wins.
    3. Weights that were trained on this machine and cover the noise.
    4. With `fallback`, weights for another noise: those for other levels of the same noise first, shipped ones before
       trained ones, then those with the widest cover. The result has a note about this.

    A pruned method uses the weights that were pruned to its number of channels from those that the whole method uses.

    Args:
        spec: The learned method.
        method: The method with its options.
        noise: The noise. If None, weights for Gaussian noise are chosen, shipped ones first.
        fallback: Whether weights for another noise may be used.

    Returns:
        The weights, or None if the method must be trained (or pruned and fine-tuned) first.

    Raises:
        UnknownName: There are no weights of the name in the option `weights`.
        WeightsError: The named weights belong to another network.
    """
    found, keep = _whole(spec, method, noise, fallback), variants.of(spec, method).keep
    return found if found is None or found.weights.card.keep == keep else _pruned(spec, found, keep)


def parent(spec: DenoiserSpec, method: Named, noise: Named | None) -> Weights | None:
    """Return the weights that a method with fewer channels is pruned from: those that the whole method uses."""
    found = _whole(spec, method, noise, fallback=True)
    return found.weights if found else None


def named(spec: DenoiserSpec, name: str, method: Named) -> Weights:
    """Return the weights of a method by name.

    Args:
        spec: The learned method.
        name: The name of the weights.
        method: The method with its options, which the weights must fit.

    Raises:
        UnknownName: There are no such weights.
        WeightsError: The weights belong to another network.
    """
    weights = find(spec, name)
    if weights.card.keep not in (1, variants.of(spec, method).keep):
        raise WeightsError(
            f"the weights {weights.name} are pruned; write {method.name}[weights={weights.name},"
            f"keep={show(weights.card.keep)}] for them, or name the weights that they were pruned from."
        )
    if not _fits(weights.card, method, only_given=True):
        made = ", ".join(f"{key}={value}" for key, value in weights.card.options.items())
        raise WeightsError(f"the weights {weights.name} are of another network ({made}) than {method} asks for.")
    return weights


def _whole(spec: DenoiserSpec, method: Named, noise: Named | None, fallback: bool) -> Resolved | None:
    """Return the weights of the whole network. Pruned weights are returned only if the method's option names them."""
    assert spec.trainable is not None
    if noise and variants.converts(spec, method, noise):
        noise = None  # what the network sees is Gaussian noise
    wanted = method.values().get("weights", AUTO)
    if wanted != AUTO:
        return Resolved(named(spec, str(wanted), method))
    groups = [shipped(spec.trainable), [each for each in trained(spec.name) if not each.card.source]]
    groups = [[each for each in group if each.card.keep == 1 and _fits(each.card, method)] for group in groups]
    for group in groups if noise else ():
        covering = [(cover.width(), item) for item in group for cover in item.card.noise if cover.holds(noise)]  # type: ignore[arg-type]
        if covering:
            return Resolved(min(covering, key=lambda pair: (pair[0], len(pair[1].card.noise), pair[1].name))[1])
    return _nearest(groups[0], groups[1], noise) if fallback else None


def _nearest(ours: list[Weights], theirs: list[Weights], noise: Named | None) -> Resolved | None:
    """Return the best shipped (`ours`) or trained (`theirs`) weights that were made for another noise."""
    family = noise.name if noise else USUAL
    nearest = max(
        (*ours, *theirs),
        key=lambda item: (_covers(item.card, family), item in ours, _width(item.card), item.name),
        default=None,
    )
    if nearest is None:
        return None
    learnt = "; ".join(map(str, nearest.card.noise)) or "a noise that its card does not name"
    return Resolved(nearest, f"trained for {learnt}, not for {noise}" if noise else "")


def _pruned(spec: DenoiserSpec, found: Resolved, keep: float) -> Resolved | None:
    """Return the weights that were pruned from these to the fraction `keep` of channels, and fine-tuned longest."""
    assert spec.trainable is not None
    sha256 = found.weights.sha256
    made = [
        each
        for each in (*shipped(spec.trainable), *trained(spec.name))
        if each.card.keep == keep and each.card.pruned_from == sha256
    ]
    best = max(made, key=lambda each: (each.card.steps, each.name), default=None)
    return Resolved(best, found.note) if best else None


def _fits(card: Card, method: Named, only_given: bool = False) -> bool:
    """Return whether the method's options describe the network of a card."""
    given = method.text if only_given else ""
    for key, value in method.values().items():
        if key == "weights" or (only_given and f"{key}=" not in given):
            continue
        if key in card.options and card.options[key] != value:
            return False
    return True


def _covers(card: Card, family: str) -> bool:
    return any(cover.family == family for cover in card.noise)


def _width(card: Card) -> float:
    return max((cover.width() for cover in card.noise), default=0.0)

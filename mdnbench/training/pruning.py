"""Pruning: channels with the smallest weights are removed from a trained network, and the rest is fine-tuned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mdnbench import weights as store
from mdnbench.errors import Unavailable, UsageError
from mdnbench.registry import variants
from mdnbench.spec import tomlfile
from mdnbench.spec.names import Named, show
from mdnbench.training import recipe as recipes
from mdnbench.training.deploy import loaded_network
from mdnbench.training.fine_tuning import TrainingTask
from mdnbench.training.recipe import Recipe, trainable_of
from mdnbench.wrappers.onnx_session import package

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.specs import DenoiserSpec
    from mdnbench.weights import Weights

SHARE_OF_RATE = 0.5  # a trained network needs smaller steps
MINUTES = 10.0


def task(spec: DenoiserSpec, named: Named, parent: Weights, changed: Callable[[Recipe], Recipe]) -> TrainingTask:
    """Return the task of fine-tuning pruned weights, by the recipe that the parent was trained with.

    The pruned network gets the noise level if the parent got it. Nothing is hidden, even if the parent was trained with
    masks.

    Args:
        spec: The learned method.
        named: The method with its options.
        parent: The weights to prune.
        changed: Applies the user's changes to the recipe.

    Raises:
        UsageError: The parent is pruned itself.
        WeightsError: The parent's file is damaged or missing.
    """
    _refuse_pruned(spec, parent)
    store.load_state(parent)  # its error for a damaged file explains what to do
    keep = variants.of(spec, named).keep
    options = variants.own(spec, named) | dict(parent.card.options)
    method = Named(f"{spec.name}-keep-{show(keep)}-{parent.sha256[:8]}", tuple(options.items()), spec.name)
    trainable = dataclasses.replace(trainable_of(spec), network=lambda **_: prune(spec, parent, keep), export=None)
    return TrainingTask(
        dataclasses.replace(spec, trainable=trainable), method, changed(_recipe(spec, parent)),
        {"keep": keep, "pruned_from": parent.sha256, "notes": f"pruned from {parent.name} and fine-tuned"},
        half=store.is_half(parent),
    )  # fmt: skip


def _refuse_pruned(spec: DenoiserSpec, parent: Weights) -> None:
    if parent.card.keep == 1:
        return
    known = store.trained(spec.name) + store.shipped(trainable_of(spec))
    origin = next((each.name for each in known if each.sha256 == parent.card.pruned_from), "")
    raise UsageError(
        f"the weights {parent.name} are pruned already, from {origin or 'weights that are not here any more'}; "
        + (f"name those: {spec.name}[keep=…,weights={origin}]." if origin else "name whole ones to prune.")
    )


def _recipe(spec: DenoiserSpec, parent: Weights) -> Recipe:
    if parent.card.recipe:
        found = tomlfile.build(Recipe, parent.card.recipe, f"the recipe of the weights {parent.name}")
    else:
        found = recipes.named(trainable_of(spec).recipes, "best")
    usual = _usual(spec, found)
    gentle = {
        "mask": None,
        "blind": parent.card.blind,
        "batch": min(found.batch, usual.batch),
        "optimiser": {"lr": max(found.optimiser.lr, usual.optimiser.lr) * SHARE_OF_RATE},
        "budget": {"minutes": MINUTES},
    }
    return recipes.override(found, gentle)


def _usual(spec: DenoiserSpec, found: Recipe) -> Recipe:
    """Return the method's own recipe if it has the same optimiser, or else `found` itself.

    A parent may have ended with large batches, on a GPU that is not available here, and with a learning rate that is
    too small for a network that has lost channels.
    """
    own = trainable_of(spec).recipes / "best.toml"
    usual = recipes.read(own) if own.is_file() else found
    return usual if usual.optimiser.kind == found.optimiser.kind else found


def prune(spec: DenoiserSpec, parent: Weights, keep: float) -> torch.nn.Module:
    """Return the parent's network with the fraction `keep` of every layer's channels, rounded down.

    The channels of least magnitude are removed. Layers that are added to each other lose the same channels. The
    channels of the image itself stay.

    Raises:
        UsageError: torch-pruning is not installed.
    """
    pruning = _package()
    module = loaded_network.filled(spec, parent)
    example = loaded_network.example(parent, 64, 64)
    pruning.pruner.BasePruner(
        module, example, importance=pruning.importance.GroupMagnitudeImportance(p=2), pruning_ratio=1 - keep,
        ignored_layers=_last_layers(pruning, module, example),
    ).step()  # fmt: skip
    return module


def _last_layers(pruning: Any, module: torch.nn.Module, example: Any) -> list[torch.nn.Module]:
    """Return the layers whose channels are the image's: those that reach the output without passing another layer."""
    graph = pruning.DependencyGraph().build_dependency(module, example_inputs=example)
    found = []
    for layer in [each for each in graph.module2node if list(each.parameters(recurse=False))]:
        cut = graph.get_pruner_of_module(layer).prune_out_channels
        group = [part.dep.target.type for part in graph.get_pruning_group(layer, cut, idxs=[0])]
        if pruning.ops.OPTYPE.OUTPUT in group:
            found.append(layer)
    return found


def _package() -> Any:
    try:
        return package("torch_pruning")
    except Unavailable as error:
        raise UsageError(str(error)) from None


def refuse_recipe(name: str) -> None:
    """Check that no other recipe than the default is requested, because a pruned network uses its parent's.

    Raises:
        UsageError: Another recipe is requested.
    """
    if name != "best":
        raise UsageError(
            f"pruned weights are fine-tuned by the recipe that they were trained by, not by {name!r}; change keys of "
            "it with --set, as --set optimiser.lr=1e-4."
        )

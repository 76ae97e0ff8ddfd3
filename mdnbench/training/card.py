"""The card of a finished training: what was trained, on which data, for how long, and how much was hidden."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from mdnbench import weights
from mdnbench.registry import variants
from mdnbench.spec.weights import NoiseCoverage
from mdnbench.training import ranks
from mdnbench.training.recipe import plain

if TYPE_CHECKING:
    from mdnbench.spec.names import Named
    from mdnbench.spec.specs import DatasetSpec, DenoiserSpec
    from mdnbench.training.training_data import TrainingData
    from mdnbench.training.training_state import TrainingState


def of(
    spec: DenoiserSpec, method: Named, data: DatasetSpec, state: TrainingState, material: TrainingData
) -> weights.Card:
    """Return the card of a finished training. The size and digest are filled in when the weights file is written."""
    recipe = state.recipe
    return weights.Card(
        method=spec.name,
        options=variants.own(spec, method),
        blind=recipe.blind,
        noise=tuple(NoiseCoverage(item.family, dict(item.ranges)) for item in recipe.noise),
        mask=_mask_text(state),
        revision=spec.revision,
        recipe=plain(recipe),
        recipe_digest=recipe.digest(),
        data={file.name: file.sha256 for file in data.files},
        left_out=material.left_out,
        packages={package: metadata.version(package) for package in ("torch", "numpy", "mdnbench")},
        device=state.device if ranks.count() == 1 else f"{ranks.count()} × {state.device}",
        minutes=round(state.clock.elapsed() / 60, 2),
        steps=state.clock.step,
        validation_psnr=state.psnr,
    )


def _mask_text(state: TrainingState) -> str:
    if (mask := state.recipe.mask) is None:
        return ""
    share = state.masked_steps / max(1, state.clock.step)
    return (
        f"{mask.start:.0%} of the pixels hidden at first, {mask.end:.0%} in the end, in squares of {mask.patch} "
        f"pixels; at least 20 % hidden in {share:.1%} of the steps, less or nothing in the others, "
        f"nothing in the last {1 - mask.until:.0%} of the budget; loss {mask.kept} × kept + {mask.hidden} × hidden"
    )

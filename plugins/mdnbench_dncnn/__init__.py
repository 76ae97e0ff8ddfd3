"""DnCNN, the convolutional denoiser that new methods are usually compared with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import DenoiserSpec, Option, Trainable, deferred, hookimpl
from mdnbench.errors import BadFile

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.specs import Rng
    from mdnbench.training.recipe import Moment, Recipe

HERE = Path(__file__).parent


def _loss(
    network: torch.nn.Module,
    clean: torch.Tensor,
    noisy: torch.Tensor,
    std: torch.Tensor | None,
    rng: Rng,
    moment: Moment,
    recipe: Recipe,
) -> torch.Tensor:
    """Return the mean squared (or absolute) error; clean and noisy are (B, C, H, W).

    Raises:
        BadFile: The recipe requests another loss.
    """
    if recipe.mask or recipe.loss.stages or recipe.loss.kind not in ("l1", "l2"):
        raise BadFile("dncnn is trained with the loss l1 or l2, without a mask and without stages; change the recipe.")
    error: torch.Tensor = network(noisy).float() - clean
    return error.abs().mean() if recipe.loss.kind == "l1" else error.square().mean()


@hookimpl
def mdnbench_denoisers() -> list[DenoiserSpec]:
    """Return the specification of DnCNN, which works without the noise level."""
    dncnn = DenoiserSpec(
        name="dncnn",
        revision="1",
        summary="Deep convolutional network that predicts the noise, for any Gaussian level (DnCNN)",
        build=deferred("mdnbench_dncnn.denoise:build"),
        options=(
            Option("depth", int, 17, "convolutions in a row", choices=(17, 20)),
            Option("colour", bool, False, "a network for three channels; a gray one takes colour channel by channel"),
        ),
        wants="nothing",
        channels=(1, 3),
        packages=("torch",),
        licence="MIT",
        citation=(
            "K. Zhang, W. Zuo, Y. Chen, D. Meng, L. Zhang, "
            "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising, IEEE TIP 26(7), 2017"
        ),
        published_as="DnCNN-B",
        stabilise=False,
        trainable=Trainable(
            network=deferred("mdnbench_dncnn.network:with_norm"),
            loss=_loss,
            recipes=HERE / "recipes",
            weights=HERE / "weights",
            export=deferred("mdnbench_dncnn.network:folded"),
            convert=deferred("mdnbench_dncnn.convert:convert"),
            inference=deferred("mdnbench_dncnn.network:without_norm"),
        ),
    )
    return [dncnn]

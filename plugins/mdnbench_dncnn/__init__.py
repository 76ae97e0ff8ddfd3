"""DnCNN, the convolutional denoiser that new methods are usually compared with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import DenoiserSpec, Option, Trainable, Unavailable, hookimpl
from mdnbench.errors import BadFile

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.names import Value
    from mdnbench.spec.specs import Denoise
    from mdnbench.training.recipe import Moment, Recipe
    from mdnbench.training.rng import TorchRng
    from mdnbench.weights import Weights

HERE = Path(__file__).parent


def _network(*, blind: bool, depth: int, colour: bool) -> torch.nn.Module:
    from mdnbench_dncnn.network import DnCNN

    return DnCNN(depth, 3 if colour else 1, norm=True)


def _inference(*, blind: bool, depth: int, colour: bool) -> torch.nn.Module:
    from mdnbench_dncnn.network import DnCNN

    return DnCNN(depth, 3 if colour else 1, norm=False)


def _loss(
    network: torch.nn.Module,
    clean: torch.Tensor,
    noisy: torch.Tensor,
    std: torch.Tensor | None,
    rng: TorchRng,
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


def _export(network: Any) -> dict[str, torch.Tensor]:
    from mdnbench_dncnn.network import folded

    return folded(network)


def _convert(state: Mapping[str, Any], eps: float | None = None) -> tuple[dict[str, torch.Tensor], dict[str, Value]]:
    from mdnbench_dncnn.convert import convert

    return convert(state, eps)


def _build(options: Mapping[str, Value], device: str, weights: Weights | None) -> Denoise:
    from mdnbench_dncnn.denoise import build

    if weights is None:
        raise Unavailable("dncnn has no weights for this noise; train it first.")
    return build(device, weights)


@hookimpl
def mdnbench_denoisers() -> list[DenoiserSpec]:
    """Return the specification of DnCNN, which works without the noise level."""
    dncnn = DenoiserSpec(
        name="dncnn",
        revision="1",
        summary="Deep convolutional network that predicts the noise, for any Gaussian level (DnCNN)",
        build=_build,
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
        trainable=Trainable(
            network=_network,
            loss=_loss,
            recipes=HERE / "recipes",
            weights=HERE / "weights",
            export=_export,
            convert=_convert,
            inference=_inference,
        ),
    )
    return [dncnn]

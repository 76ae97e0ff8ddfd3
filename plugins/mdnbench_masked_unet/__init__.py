"""A residual U-Net that is trained with hidden pixels (`masked-unet`) or without (`unet`), for comparison."""

from __future__ import annotations

import functools
from pathlib import Path

from mdnbench import DenoiserSpec, Option, Trainable, deferred, hookimpl

HERE = Path(__file__).parent
UNET = "U-Net: Ronneberger, Fischer and Brox, MICCAI 2015"
MASKED = f"Masking: Chen et al., Masked Image Training for Generalizable Deep Image Denoising, CVPR 2023; {UNET}"
OPTIONS = (
    Option(
        "size",
        str,
        "default",
        "default is quick on one CPU thread; large is better and slower",
        "",
        ("default", "large"),
    ),
    Option("colour", bool, False, "a network for three channels; a gray one takes colour images channel by channel"),
)


def _spec(name: str, masked: bool, summary: str, citation: str) -> DenoiserSpec:
    trainable = Trainable(
        network=functools.partial(deferred("mdnbench_masked_unet.network:make"), masked),
        loss=deferred("mdnbench_masked_unet.loss:loss"),
        recipes=HERE / "recipes" / name,
        weights=HERE / "weights" / name,
    )
    return DenoiserSpec(
        name=name,
        revision="1",
        summary=summary,
        build=functools.partial(deferred("mdnbench_masked_unet.denoise:build"), masked),
        options=OPTIONS,
        wants="std",
        channels=(1, 3),
        packages=("torch",),
        licence="MIT",
        citation=citation,
        trainable=trainable,
        stabilise=False,
    )


@hookimpl
def mdnbench_denoisers() -> list[DenoiserSpec]:
    """Return the specifications of the masked network and of its control without masks."""
    return [
        _spec("masked-unet", True, "Residual U-Net trained with a share of its input pixels hidden", MASKED),
        _spec("unet", False, "The same residual U-Net trained on whole images: the control of masked-unet", UNET),
    ]

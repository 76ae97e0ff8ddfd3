"""The specifications of PSNR, SSIM and LPIPS. The modules that compute them are imported when they are needed."""

from __future__ import annotations

from typing import Any

from mdnbench import MetricSetting, MetricSpec, deferred
from mdnbench.errors import MdnbenchError
from mdnbench_metrics import backbone


def _deferred(function: str) -> Any:
    return deferred(f"mdnbench_metrics.{function}")


def _prepare(download: bool, net: str = "alex") -> str | None:
    try:
        backbone.find(net, download)
        backbone.find_heads(net)
    except MdnbenchError as error:
        return str(error)
    return None


def _prepare_squeeze(download: bool) -> str | None:
    return _prepare(download, "squeeze")


PSNR = MetricSpec(
    name="psnr",
    revision="1",
    summary="Peak signal-to-noise ratio, channels jointly",
    direction="higher",
    build=_deferred("psnr:build"),
    unit="dB",
    digits=2,
    tolerance=0.05,
    citation="Huynh-Thu, Ghanbari: Scope of Validity of PSNR. Electronics Letters 44(13), 2008",
    symmetric=True,
)

SSIM = MetricSpec(
    name="ssim",
    revision="1",
    summary="Structural similarity, Gaussian window 11×11, valid region, channel mean",
    direction="higher",
    build=_deferred("ssim:build"),
    digits=4,
    tolerance=0.002,
    min_size=11,
    packages=("numpy",),
    settings=(
        MetricSetting(
            "uniform",
            "scikit-image's defaults: uniform window 7×7, sample covariance",
            _deferred("ssim:build_uniform"),
        ),
        MetricSetting(
            "padded",
            "mean over the whole image, zeros beyond its edges",
            _deferred("ssim:build_padded"),
        ),
        MetricSetting(
            "downsampled",
            "after shrinking the short side to about 256 pixels",
            _deferred("ssim:build_downsampled"),
        ),
    ),
    citation="Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment. IEEE TIP 13(4), 2004",
    symmetric=True,
)

LPIPS = MetricSpec(
    name="lpips",
    revision="1",
    summary="Learned perceptual distance, v0.1, AlexNet",
    direction="lower",
    build=_deferred("perceptual:build"),
    digits=3,
    tolerance=0.005,
    min_size=31,  # for smaller images, the last layer of AlexNet that LPIPS reads is empty
    packages=("lpips", "torch"),
    prepare=_prepare,
    settings=(
        MetricSetting(
            "squeeze",
            "over SqueezeNet instead of AlexNet",
            _deferred("perceptual:build_squeeze"),
            _prepare_squeeze,
        ),
        MetricSetting(
            "unstretched",
            "images fed in [0, 1], not brought to [-1, 1]",
            _deferred("perceptual:build_unstretched"),
        ),
    ),
    citation="Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep Features. CVPR 2018",
    symmetric=True,
)

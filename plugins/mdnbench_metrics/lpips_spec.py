"""The specification of LPIPS; `perceptual.py` computes it, and imports torch."""

from __future__ import annotations

from mdnbench import MetricSetting, MetricSpec, Unavailable
from mdnbench.errors import DataMissing, MdnbenchError
from mdnbench.spec.specs import Score
from mdnbench_metrics import backbone


def _prepare(download: bool, net: str = "alex") -> str | None:
    try:
        backbone.find(net, download)
    except MdnbenchError as error:
        return str(error)
    return None


def _prepare_squeeze(download: bool) -> str | None:
    return _prepare(download, "squeeze")


def _build(device: str, net: str = "alex", *, stretched: bool = True) -> Score:
    from mdnbench_metrics import perceptual

    try:
        return perceptual.lpips_score(net, device, stretched=stretched)
    except DataMissing as error:
        raise Unavailable(str(error)) from None


def _build_squeeze(device: str) -> Score:
    return _build(device, "squeeze")


def _build_unstretched(device: str) -> Score:
    return _build(device, stretched=False)


SPEC = MetricSpec(
    name="lpips",
    revision="1",
    summary="Learned perceptual distance, v0.1, AlexNet",
    direction="lower",
    build=_build,
    digits=3,
    tolerance=0.005,
    min_size=31,  # for smaller images, the last layer of AlexNet that LPIPS reads is empty
    packages=("lpips", "torch"),
    prepare=_prepare,
    settings=(
        MetricSetting("squeeze", "over SqueezeNet instead of AlexNet", _build_squeeze, _prepare_squeeze),
        MetricSetting("unstretched", "images fed in [0, 1], not brought to [-1, 1]", _build_unstretched),
    ),
    citation="Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep Features. CVPR 2018",
    symmetric=True,
)

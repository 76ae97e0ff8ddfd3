"""The built-in noises: Gaussian, Poisson, impulses, their mixture, speckle and correlated noise."""

from __future__ import annotations

from mdnbench import NoiseSpec, Option, hookimpl
from mdnbench_noises import models

SIGMA = Option("sigma", float, help="standard deviation", unit="on the 0-255 scale", minimum=0, maximum=255)
PEAK = Option("peak", float, help="photons at intensity 1", unit="photons", minimum=0.01, maximum=1e6)
DENSITY = Option("density", float, help="fraction of samples replaced, half by 0, half by 1", minimum=0, maximum=1)
WIDTH = Option(
    "width", int, help="side of the box that the noise is filtered with", unit="pixels", minimum=1, maximum=31
)


@hookimpl
def mdnbench_noises() -> list[NoiseSpec]:
    """Return the specifications of the six noises."""
    return [_gaussian(), _poisson(), _salt_pepper(), _mixed(), _speckle(), _correlated()]


def _gaussian() -> NoiseSpec:
    return NoiseSpec(
        name="gaussian",
        revision="1",
        summary="additive white Gaussian noise, the same everywhere",
        apply=models.gaussian,
        std=models.additive_std,
        parameters=(SIGMA,),
        formula="y = x + n, n ~ Normal(0, (sigma/255)^2)",
    )


def _poisson() -> NoiseSpec:
    return NoiseSpec(
        name="poisson",
        revision="1",
        summary="photon counting (shot noise); bright places are noisier",
        apply=models.poisson,
        std=models.unknown_std,
        parameters=(PEAK,),
        formula="y = Poisson(x * peak) / peak",
        citation="Foi, Trimeche, Katkovnik and Egiazarian, IEEE TIP 17(10), 2008",
    )


def _salt_pepper() -> NoiseSpec:
    return NoiseSpec(
        name="salt-pepper",
        revision="1",
        summary="samples replaced by black or white, each channel by itself",
        apply=models.salt_pepper,
        std=models.unknown_std,
        parameters=(DENSITY,),
        formula="y = 0 with probability density/2, 1 with probability density/2, else x; each channel by itself",
        citation="Gonzalez and Woods, Digital Image Processing, 4th edition, section 5.2",
    )


def _mixed() -> NoiseSpec:
    return NoiseSpec(
        name="mixed",
        revision="1",
        summary="shot noise, then read-out noise, then impulses, in the order that light takes",
        apply=models.mixed,
        std=models.unknown_std,
        parameters=(_with(SIGMA, 25.0), _with(PEAK, 60.0), _with(DENSITY, 0.05)),
        formula="y = impulses(Poisson(x * peak) / peak + n; density), n ~ Normal(0, (sigma/255)^2)",
        citation="Foi, Trimeche, Katkovnik and Egiazarian, IEEE TIP 17(10), 2008 (shot and read-out noise)",
    )


def _speckle() -> NoiseSpec:
    return NoiseSpec(
        name="speckle",
        revision="1",
        summary="multiplicative Gaussian noise; black stays black",
        apply=models.speckle,
        std=models.unknown_std,
        parameters=(SIGMA,),
        formula="y = x + x * n, n ~ Normal(0, (sigma/255)^2)",
        citation="Gonzalez and Woods, Digital Image Processing, 4th edition, section 5.2",
    )


def _correlated() -> NoiseSpec:
    return NoiseSpec(
        name="correlated",
        revision="1",
        summary="additive Gaussian noise whose neighbours resemble each other",
        apply=models.correlated,
        std=models.additive_std,
        parameters=(SIGMA, WIDTH),
        formula="y = x + (sigma/255) * width * box(n), n ~ Normal(0, 1) white, box = mean over width x width pixels",
        citation="Mäkinen, Azzari and Foi, IEEE TIP 29, 2020",
    )


def _with(option: Option, default: float) -> Option:
    return Option(option.name, option.type, default, option.help, option.unit, (), option.minimum, option.maximum)

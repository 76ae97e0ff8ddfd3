"""Read the scores of the run, and compute the contrasts between networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdnbench.analysis.statistics import paired
from mdnbench.analysis.statistics.paired import Pair

METRICS = ("psnr", "ssim", "lpips")
TIE = 0.005  # dB: smaller differences are not visible in two decimals


@dataclass(frozen=True)
class Scores:
    """The scores of the run.

    Attributes:
        noises: The names along the first axis.
        methods: The names along the second axis.
        values: By metric, the scores as (noises, methods, images, seeds).
    """

    noises: tuple[str, ...]
    methods: tuple[str, ...]
    values: Mapping[str, np.ndarray]

    def of(self, metric: str, noise: str, name: str) -> np.ndarray:
        """Return a network's scores under one noise, (images,), each the mean over the noise seeds."""
        method = next(index for index, text in enumerate(self.methods) if f"weights={name}]" in text)
        found: np.ndarray = self.values[metric][self.noises.index(noise), method].mean(axis=1)
        return found


@dataclass(frozen=True, slots=True)
class Contrast:
    """The masked network compared with the plain one under one test noise.

    Attributes:
        noise: The test noise.
        plain: The mean PSNR of the plain network.
        masked: The mean PSNR of the masked network.
        pair: The statistics of the difference.
        by_seed: The mean difference of each training seed.
        others: The mean differences of the other metrics.
    """

    noise: str
    plain: float
    masked: float
    pair: Pair
    by_seed: tuple[float, ...]
    others: Mapping[str, float]

    @property
    def clear(self) -> bool:
        """Whether the difference is significant over the images, and has the same sign for both training seeds."""
        return self.pair.significant and len({value > 0 for value in self.by_seed}) == 1


def contrast(scores: Scores, kind: str, tests: Sequence[str]) -> list[Contrast]:
    """Return the contrasts between masked-unet and unet under every test noise.

    Args:
        scores: The scores of the run.
        kind: The noise of the trainings, 'gaussian' or 'mixed'.
        tests: The test noises.
    """
    plain = {noise: _seeds(scores, "psnr", noise, f"masking-{kind}-plain") for noise in tests}
    masked = {noise: _seeds(scores, "psnr", noise, f"masking-{kind}-masked") for noise in tests}
    differences = [masked[noise] - plain[noise] for noise in tests]  # (images, training seeds)
    pairs = paired.compare([("masked-unet", "unet")] * len(tests), differences, 1, TIE)
    return [
        Contrast(
            noise, float(plain[noise].mean()), float(masked[noise].mean()), pair, tuple(map(float, gap.mean(axis=0))),
            {metric: _gap(scores, metric, noise, kind) for metric in METRICS[1:]},
        )
        for noise, pair, gap in zip(tests, pairs, differences, strict=True)
    ]  # fmt: skip


def _gap(scores: Scores, metric: str, noise: str, kind: str) -> float:
    """Return the mean difference of a metric, masked minus plain."""
    masked, plain = (_seeds(scores, metric, noise, f"masking-{kind}-{side}") for side in ("masked", "plain"))
    return float((masked - plain).mean())


def _seeds(scores: Scores, metric: str, noise: str, stem: str) -> np.ndarray:
    """Return the scores of one network, (images, training seeds)."""
    return np.stack([scores.of(metric, noise, f"{stem}-{seed}") for seed in (1, 2)], axis=1)

"""The scores of the run, and the contrasts that are drawn between networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdnbench.analysis.statistics import paired
from mdnbench.analysis.statistics.paired import Pair

METRICS = ("psnr", "ssim", "lpips")
TIE = 0.005  # dB: what two decimals do not show


@dataclass(frozen=True)
class Scores:
    """The scores of the run: metric → (noises, methods, images, seeds), with the names along the first two."""

    noises: tuple[str, ...]
    methods: tuple[str, ...]
    values: Mapping[str, np.ndarray]

    def of(self, metric: str, noise: str, name: str) -> np.ndarray:
        """One network's scores under one noise, by image (its noise seeds averaged)."""
        method = next(index for index, text in enumerate(self.methods) if f"weights={name}]" in text)
        found: np.ndarray = self.values[metric][self.noises.index(noise), method].mean(axis=1)
        return found


@dataclass(frozen=True, slots=True)
class Contrast:
    """Masked less plain under one test noise: means, the difference's statistics, and each training seed's own."""

    noise: str
    plain: float
    masked: float
    pair: Pair
    by_seed: tuple[float, ...]
    others: Mapping[str, float]  # the differences of the other metrics

    @property
    def clear(self) -> bool:
        """Whether chance is ruled out: over the images after correction, and both training seeds agree."""
        return self.pair.significant and len({value > 0 for value in self.by_seed}) == 1


def contrast(scores: Scores, kind: str, tests: Sequence[str]) -> list[Contrast]:
    """masked-unet less unet, both trained on `kind`, under every test noise; the two training seeds are kept apart."""
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
    """The mean difference of a metric, masked less plain."""
    masked, plain = (_seeds(scores, metric, noise, f"masking-{kind}-{side}") for side in ("masked", "plain"))
    return float((masked - plain).mean())


def _seeds(scores: Scores, metric: str, noise: str, stem: str) -> np.ndarray:
    """(images, training seeds) of one network."""
    return np.stack([scores.of(metric, noise, f"{stem}-{seed}") for seed in (1, 2)], axis=1)

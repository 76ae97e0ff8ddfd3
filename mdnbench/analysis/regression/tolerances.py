"""Decide by how much a mean may change, depending on what the run and the baseline have in common.

A metric's spec defines one tolerance: by how much a mean may change if the weights are trained again (0.05 dB for
PSNR). If the weights are the same, the tolerance is smaller, by the same factor for every metric:

| the run and the baseline have the same | a mean may change by | PSNR |
|---|---|---|
| method, weights, packages, device and processor | a fiftieth of the metric's tolerance | 0.001 dB |
| weights and noisy pixels, but not all of the others | a fifth of it | 0.01 dB |
| weights, but not the noisy pixels | all of it | 0.05 dB |
| none of these: the weights differ | all of it, or three times the stored spread if that is more | 0.05 dB |

The `[tolerances]` of a baseline take precedence over this table, and those of the command line over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mdnbench.analysis.regression.baselines import Facts
from mdnbench.registry.variants import without_weights

SAME, ACROSS = 1 / 50, 1 / 5
SPREADS = 3
INDIFFERENT = {"pandas", "pluggy"}  # packages that never change a pixel

ToleranceBasis = Literal["given", "baseline", "same", "across", "noise", "retrained"]

WORDS: Mapping[ToleranceBasis, str] = {
    "given": "as asked for",
    "baseline": "as the baseline says",
    "same": "same weights, packages and processor",
    "across": "same weights, and not everything else",
    "noise": "same weights, other noisy pixels",
    "retrained": "other weights",
}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By how much a mean may change, and the reason."""

    value: float
    basis: ToleranceBasis


@dataclass(frozen=True, slots=True)
class Tolerances:
    """The tolerances for comparing a run with a baseline.

    Attributes:
        run: The facts of the run.
        baseline: The facts of the baseline.
        given: The tolerances of the command line, by metric.
        same_noise: Whether all noisy pixels of the run and of the baseline are equal.
    """

    run: Facts
    baseline: Facts
    given: Mapping[str, float]
    same_noise: bool = True

    def of(self, noise: str, method: str, metric: str) -> Tolerance:
        """Return the tolerance for the mean of a method under a noise by a metric."""
        if metric in self.given:
            return Tolerance(self.given[metric], "given")
        if metric in self.baseline.tolerances:
            return Tolerance(self.baseline.tolerances[metric], "baseline")
        whole = self.baseline.metrics[metric].tolerance
        match self._basis(noise, method):
            case "same":
                return Tolerance(whole * SAME, "same")
            case "across":
                return Tolerance(whole * ACROSS, "across")
            case "noise":
                return Tolerance(whole, "noise")
            case _:
                return Tolerance(max(whole, SPREADS * self._spread(method, metric)), "retrained")

    def _basis(self, noise: str, method: str) -> ToleranceBasis:
        """Return what the run and the baseline have in common for a method under a noise."""
        run, baseline = self.run, self.baseline
        if run.weights(method, noise) != baseline.weights(method, noise):
            return "retrained"
        if not self.same_noise:
            return "noise"
        mine, theirs = run.methods.get(method, {}), baseline.methods.get(method, {})
        alike = (run.cpu, run.device) == (baseline.cpu, baseline.device)
        packages = _relevant(run.packages) == _relevant(baseline.packages)
        return "same" if alike and packages and _unweighted(mine) == _unweighted(theirs) else "across"

    def _spread(self, method: str, metric: str) -> float:
        stored = self.baseline.spread
        return (stored.get(method) or stored.get(without_weights(method)) or {}).get(metric, 0.0)


def _relevant(packages: Mapping[str, str]) -> dict[str, str]:
    return {name: version for name, version in packages.items() if name not in INDIFFERENT}


def _unweighted(facts: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in facts.items() if not key.startswith("weights")}

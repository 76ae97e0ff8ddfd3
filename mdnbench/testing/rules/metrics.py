"""The rules of metrics: a number for every image, the direction, the score of equal images, and declared symmetry."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdnbench.engine.process_state import ProcessState, restore
from mdnbench.errors import Unavailable
from mdnbench.testing.rules import samples
from mdnbench.testing.rules.contract import CITATION
from mdnbench.testing.rules.rule import Rule, RuleBroken

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image, MetricSpec, Score

STDS = (0.02, 0.1, 0.3)
TOLERANCE = 1e-3  # relative to the difference between the scores of a perfect and a noisy image


@dataclass(frozen=True, slots=True)
class MetricSubject:
    """The spec of a metric or of one of its settings, and the state of the process before any plugin ran in it."""

    spec: MetricSpec
    before: ProcessState

    def build(self) -> Score:
        """Return the metric, newly built in a restored process state.

        Raise Unavailable if something that it needs is missing.
        """
        if reason := self.spec.prepare(False) if self.spec.prepare else None:
            raise Unavailable(reason)
        restore(self.before)
        return self.spec.build("cpu")

    def size(self) -> tuple[int, int]:
        """Return an odd image size that the metric accepts."""
        least = max(self.spec.min_size, 48)
        return least + 1 - least % 2, least + 14

    def clean(self, channels: int = 1, start: int = 96) -> Image:
        """Return a clean image that is large enough for the metric."""
        return samples.clean(channels, self.size(), start)

    def noisy(self, std: float, channels: int = 1) -> Image:
        """Return a noisy image, clamped to [0, 1] as a protocol does."""
        return samples.noisy(self.clean(channels), std=std).clip(0, 1)

    def fingerprint(self) -> str:
        """Return the score of the usual pair of images, with all digits."""
        return repr(float(self.build()(self.noisy(0.1), self.clean())))


def scores(metric: MetricSubject) -> None:
    """It returns a number for gray and colour images, for odd sizes and for the smallest size that it declares."""
    score, least = metric.build(), metric.spec.min_size
    pairs = [(metric.noisy(0.1, channels), metric.clean(channels)) for channels in (1, 3)]
    pairs.append((pairs[0][0][:least, :least], pairs[0][1][:least, :least]))
    for noisy, clean in pairs:
        shape = "x".join(map(str, clean.shape))
        try:
            value = score(np.ascontiguousarray(noisy), np.ascontiguousarray(clean))
            got = repr(value) if isinstance(value, float | int | np.floating) else f"a {type(value).__name__}"
        except Unavailable:
            raise
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
            value = None
        if not isinstance(value, float | int | np.floating) or not math.isfinite(value):
            fix = "return `float(…)`; declare `min_size` where small images have no score, average over channels."
            raise RuleBroken(f"a finite number for noisy images of {shape}", got, fix)


def repeats(metric: MetricSubject) -> None:
    """It does not change its images, and returns the same number for the same pair again."""
    score, noisy, clean = metric.build(), metric.noisy(0.1), metric.clean()
    first = float(score(noisy, clean))
    if not np.array_equal(noisy, metric.noisy(0.1)) or not np.array_equal(clean, metric.clean()):
        raise RuleBroken("both images unchanged", "at least one was written to", "work on copies: `denoised - clean`.")
    restore(metric.before, seed=2)
    again = float(score(noisy, clean))
    if first != again:
        raise RuleBroken(
            "the same number again", f"{first!r}, then {again!r}", "seed what is random, and keep nothing."
        )


def has_its_direction(metric: MetricSubject) -> None:
    """More noise is worse, in the direction that it declares."""
    score = metric.build()
    found = [float(score(metric.noisy(std), metric.clean())) for std in STDS]
    ordered = sorted(found, reverse=metric.spec.direction == "higher")
    if found != ordered or len(set(found)) < len(found):
        raise RuleBroken(
            f"worse numbers for more noise, where {metric.spec.direction} is better",
            f"{', '.join(f'{value:.4g}' for value in found)} at sigma {', '.join(f'{255 * std:.0f}' for std in STDS)}",
            "declare the other `direction`, or change the sign.",
        )


def knows_identity(metric: MetricSubject) -> None:
    """An image compared with itself gets the best number, and the same one for every image."""
    score = metric.build()
    perfect = [float(score(image, image)) for image in (metric.clean(), metric.clean(start=200), metric.clean(3))]
    noisy = float(score(metric.noisy(STDS[0]), metric.clean()))
    sign = 1 if metric.spec.direction == "higher" else -1
    if all(math.isinf(value) and value * sign > 0 for value in perfect):
        return
    spread, distance = max(perfect) - min(perfect), sign * (perfect[0] - noisy)
    if not spread <= TOLERANCE * abs(distance) or distance <= 0:
        raise RuleBroken(
            "one number for every image against itself, better than for any other pair",
            f"{', '.join(f'{value:.5g}' for value in perfect)} for three images, {noisy:.5g} for a noisy one",
            "measure the difference from the clean image, with a constant if there is none.",
        )


def is_symmetric(metric: MetricSubject) -> None:
    """The number stays the same when the two images change places, if it declares `symmetric`."""
    if not metric.spec.symmetric:
        return
    score = metric.build()
    one, other = float(score(metric.noisy(0.1), metric.clean())), float(score(metric.clean(), metric.noisy(0.1)))
    if not math.isclose(one, other, rel_tol=TOLERANCE):
        raise RuleBroken(
            "the same number when the images change places, for it declares `symmetric`",
            f"{one:.6g} and {other:.6g}",
            "take `symmetric` away: a metric may well treat the clean image as what it is.",
        )


RULES = (
    CITATION,
    Rule("metric-number", scores, gate=True),
    Rule("metric-twice", repeats, gate=True),
    Rule("metric-direction", has_its_direction, gate=True),
    Rule("metric-identity", knows_identity),
    Rule("metric-symmetry", is_symmetric),
)

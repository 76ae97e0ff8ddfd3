"""Score outputs: apply the protocol's scoring rule to an output and compute each metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench.errors import Unavailable
from mdnbench.spec.records import MetricScore, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mdnbench.evaluation.protocols import ImageRule
    from mdnbench.spec.specs import Image, MetricSpec, Score


class ScorerLost(Exception):
    """The loss of the process that computes a metric: the status of the score, and the reason."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def score(
    denoised: Image, clean: Image, rule: ImageRule, specs: Mapping[str, MetricSpec], scorers: Mapping[str, Score]
) -> tuple[MetricScore, ...]:
    """Compare a denoised image with the clean one by each metric.

    Args:
        denoised: The denoised image, float32 (H, W) or (H, W, 3).
        clean: The clean image, of the same shape.
        rule: The scoring rule.
        specs: The metrics by name.
        scorers: The functions that compute the metrics, by name.

    Returns:
        One score per metric in `specs`, with the reason if it could not be computed.

    """
    ready, reference = rule.crop(rule.apply(denoised)), rule.crop(clean)
    return tuple(_one(spec, scorers[name], ready, reference) for name, spec in specs.items())


def _one(spec: MetricSpec, scorer: Score, denoised: Image, clean: Image) -> MetricScore:
    side = min(clean.shape[:2])
    if side < spec.min_size:
        reason = f"{spec.name} needs images of at least {spec.min_size} pixels a side; this one has {side}."
        return MetricScore(spec.name, "skipped", reason=reason)
    try:
        value = float(scorer(denoised.copy(), clean.copy()))  # copies: no metric can change the images for the next one
    except Unavailable as error:
        return MetricScore(spec.name, "skipped", reason=str(error))
    except ScorerLost as error:
        return MetricScore(spec.name, error.status, reason=str(error))
    except (Exception, SystemExit) as error:
        return MetricScore(spec.name, "failed", reason=f"{type(error).__name__}: {error}")
    if value != value:
        return MetricScore(spec.name, "invalid", reason=f"{spec.name} gave NaN.")
    return MetricScore(spec.name, "ok", value)

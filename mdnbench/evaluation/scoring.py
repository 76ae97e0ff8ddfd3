"""Scoring: an output is checked, brought under the protocol's scoring rule, and measured by each metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench.errors import Unavailable
from mdnbench.spec.records import MetricScore, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mdnbench.evaluation.protocols import Rule
    from mdnbench.spec.specs import Image, MetricSpec, Score


class ScorerLost(Exception):
    """The process that computes a metric was lost with an image in hand: what its score comes to, and why."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def score(
    denoised: Image, clean: Image, rule: Rule, specs: Mapping[str, MetricSpec], scorers: Mapping[str, Score]
) -> tuple[MetricScore, ...]:
    """Measure a denoised image (H, W) or (H, W, 3) against the clean one, once per metric in `specs`."""
    ready, reference = rule.crop(rule.apply(denoised)), rule.crop(clean)
    return tuple(_one(spec, scorers[name], ready, reference) for name, spec in specs.items())


def _one(spec: MetricSpec, scorer: Score, denoised: Image, clean: Image) -> MetricScore:
    side = min(clean.shape[:2])
    if side < spec.min_size:
        reason = f"{spec.name} needs images of at least {spec.min_size} pixels a side; this one has {side}."
        return MetricScore(spec.name, "skipped", reason=reason)
    try:
        value = float(scorer(denoised.copy(), clean.copy()))  # its own: no metric can spoil the next one
    except Unavailable as error:
        return MetricScore(spec.name, "skipped", reason=str(error))
    except ScorerLost as error:
        return MetricScore(spec.name, error.status, reason=str(error))
    except (Exception, SystemExit) as error:
        return MetricScore(spec.name, "failed", reason=f"{type(error).__name__}: {error}")
    if value != value:
        return MetricScore(spec.name, "invalid", reason=f"{spec.name} gave NaN.")
    return MetricScore(spec.name, "ok", value)

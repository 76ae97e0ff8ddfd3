"""Scoring: the rule comes first, each metric stands for itself, and what is no number is never one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mdnbench import registry
from mdnbench.errors import Unavailable
from mdnbench.evaluation import protocols
from mdnbench.evaluation.protocols import ImageRule
from mdnbench.evaluation.scoring import score
from mdnbench.spec.records import MetricScore
from mdnbench.spec.specs import Image, MetricSpec

KNOWN = registry.load()
CLEAN = KNOWN.datasets["sk12"].load("01")
NOISY = CLEAN + np.float32(0.2) * np.random.default_rng(1).standard_normal(CLEAN.shape, dtype=np.float32)
STANDARD = protocols.load("standard").scoring


def measure(
    metric: Any, denoised: Image, clean: Image = CLEAN, rule: ImageRule = STANDARD, **fields: Any
) -> MetricScore:
    """What a metric given as a function says."""
    spec = MetricSpec("m", "1", "a metric", "higher", lambda device: metric, **fields)
    (found,) = score(denoised, clean, rule, {"m": spec}, {"m": metric})
    return found


def real(names: tuple[str, ...], denoised: Image, clean: Image, rule: ImageRule) -> dict[str, float | None]:
    """The values of shipped metrics."""
    specs: Mapping[str, MetricSpec] = {name: KNOWN.metrics[name] for name in names}
    scorers = {name: spec.build("cpu") for name, spec in specs.items()}
    return {each.metric: each.value for each in score(denoised, clean, rule, specs, scorers)}


@pytest.mark.parametrize("name", ["standard", "float", "clipped", "masked-paper"])
def test_psnr_follows_the_protocol(name: str) -> None:
    """PSNR from first principles: clamp, round where the protocol rounds, cut the border, then the mean square."""
    rule = protocols.load(name).scoring
    ready = np.clip(NOISY, 0, 1)
    if rule.bits:
        ready = np.rint(ready * 255) / 255
    edge = slice(rule.border, -rule.border or None)
    error = (ready.astype(np.float64) - CLEAN)[edge, edge]
    expected = -10 * np.log10(np.mean(error**2))
    assert real(("psnr",), NOISY, CLEAN, rule)["psnr"] == pytest.approx(expected, abs=1e-4)


def test_the_protocols_differ_in_their_scores() -> None:
    """Rounding and border each move the last digits: protocols are not interchangeable."""
    values = {name: real(("psnr",), NOISY, CLEAN, each.scoring)["psnr"] for name, each in protocols.known().items()}
    assert values["standard"] == values["clipped"]
    assert len(set(values.values())) == 3


def test_fault_12_an_output_equal_to_the_clean_image() -> None:
    """A perfect output has infinite PSNR, which is a value, and SSIM one."""
    values = real(("psnr", "ssim"), CLEAN.copy(), CLEAN, STANDARD)
    assert values["psnr"] == float("inf")
    assert values["ssim"] == pytest.approx(1, abs=1e-6)


def test_the_output_is_left_alone() -> None:
    """Clamping and rounding happen to a copy; metrics cannot reach the caller's pixels."""
    output, clean = NOISY.copy(), CLEAN.copy()

    def careless(denoised: Image, reference: Image) -> float:
        denoised[:] = 0
        return 1.0

    for rule in (STANDARD, ImageRule(False)):
        assert measure(careless, output, clean, rule).value == 1
        assert np.array_equal(output, NOISY)


def test_a_metric_cannot_spoil_the_next_one() -> None:
    """Each metric is given the same pixels, whatever the one before it did to its own."""

    def careless(denoised: Image, reference: Image) -> float:
        denoised[:] = 0
        reference[:] = 0
        return 1.0

    def honest(denoised: Image, reference: Image) -> float:
        return float(np.abs(denoised - reference).mean())

    spec = MetricSpec("m", "1", "a metric", "lower", lambda device: honest)
    scorers = {"careless": careless, "honest": honest}
    found = score(NOISY, CLEAN.copy(), STANDARD, dict.fromkeys(scorers, spec), scorers)
    (alone,) = score(NOISY, CLEAN.copy(), STANDARD, {"honest": spec}, {"honest": honest})
    assert found[1].value == alone.value


@pytest.mark.parametrize(
    ("metric", "status", "says"),
    [
        (lambda denoised, clean: float("nan"), "invalid", "m gave NaN"),
        (lambda denoised, clean: 1 / 0, "failed", "ZeroDivisionError: division by zero"),
        (lambda denoised, clean: None, "failed", "TypeError"),
        (lambda denoised, clean: 1 + 2j, "failed", "TypeError"),
        (lambda denoised, clean: "good", "failed", "ValueError"),
    ],
)
def test_what_is_no_number_has_no_value(metric: Any, status: str, says: str) -> None:
    """A metric that fails or gives NaN has a status and a reason, and no value that a mean could take in."""
    found = measure(metric, NOISY)
    assert (found.status, found.value) == (status, None)
    assert says in found.reason


def test_a_metric_that_cannot_work_is_skipped() -> None:
    """`Unavailable` while scoring skips this metric alone, with its reason."""

    def absent(denoised: Image, clean: Image) -> float:
        raise Unavailable("the backbone is missing; run `mdnbench data fetch lpips`.")

    found = measure(absent, NOISY)
    assert (found.status, found.value) == ("skipped", None)
    assert found.reason.startswith("the backbone is missing")


def test_an_image_below_a_metrics_size_is_skipped_for_it() -> None:
    """The border counts: an image of 12 pixels has 10 left, too few for a window of 11."""
    small = CLEAN[:12, :40]
    found = measure(lambda denoised, clean: 1.0, small, small, ImageRule(True, 8, 1), min_size=11)
    assert (found.status, found.value) == ("skipped", None)
    assert "at least 11 pixels a side; this one has 10" in found.reason
    assert measure(lambda denoised, clean: 1.0, small, small, ImageRule(True, 8), min_size=11).value == 1


def test_numbers_of_any_kind_are_floats() -> None:
    """A metric may return a NumPy scalar or a tensor of one element."""
    import torch

    for value in (np.float32(0.5), np.array(0.5), torch.tensor(0.5), 0.5):
        found = measure(lambda denoised, clean, value=value: value, NOISY)
        assert (found.value, type(found.value)) == (0.5, float)

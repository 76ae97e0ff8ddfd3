"""The rules of metrics hold for each of their settings, under its own name."""

from __future__ import annotations

from textwrap import dedent

import pytest

from mdnbench import registry
from mdnbench.testing import rules
from mdnbench.testing.rules.rule import Finding, Subject

METRIC = """
    from mdnbench import MetricSetting, MetricSpec, Unavailable, hookimpl

    def error(denoised, clean):
        return float(abs(denoised - clean).mean())

    def darker(denoised, clean):
        return float(abs(denoised - 0.98 * clean).mean())

    @hookimpl
    def mdnbench_metrics():
        settings = (
            MetricSetting("squared", "", lambda device: lambda denoised, clean: error(denoised, clean) ** 2),
            MetricSetting("negative", "", lambda device: lambda denoised, clean: -error(denoised, clean)),
            MetricSetting("listed", "", lambda device: lambda denoised, clean: [error(denoised, clean)]),
            MetricSetting("darker", "", lambda device: darker),
            MetricSetting("distant", "", lambda device: error, lambda download: "its file is far away"),
        )
        return [MetricSpec("own", "1", "", "lower", lambda device: error, citation="none", settings=settings)]
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Finding]]:
    """What the kit finds of a metric that is right and of its settings, some of which are not."""
    path = tmp_path_factory.mktemp("own") / "own.py"
    path.write_text(dedent(METRIC), encoding="utf-8")
    known = registry.load([path])
    findings: dict[str, list[Finding]] = {}
    for finding in rules.check(rules.subjects_of(path, known), known):
        findings.setdefault(finding.subject.name, []).append(finding)
    return findings


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("own", []),
        ("own[squared]", []),
        ("own[negative]", ["metric-direction"]),
        ("own[listed]", ["metric-number"]),
        ("own[darker]", ["metric-identity"]),
    ],
)
def test_each_setting_is_held_to_the_rules(name: str, rules: list[str], found: dict[str, list[Finding]]) -> None:
    """What a setting breaks is found under its name, and what another one breaks is not laid to it."""
    broken = [finding for finding in found[name] if finding.state == "broken"]
    assert [finding.rule for finding in broken] == rules
    assert all(str(finding).startswith(f"metric {name}: ") for finding in broken)


def test_a_setting_that_cannot_be_computed_here_hides_no_other(found: dict[str, list[Finding]]) -> None:
    """Its own rules are not looked at, for its reason; those of the plain metric are."""
    states = {finding.rule: (finding.state, finding.got) for finding in found["own[distant]"]}
    assert states["metric-direction"] == ("skipped", "its file is far away")
    assert {finding.state for finding in found["own"]} == {"kept"}


def test_a_metric_is_asked_for_with_its_settings_or_one_of_them_alone() -> None:
    """`ssim` is the metric and every setting, `ssim[uniform]` that setting."""
    known = registry.load()
    names = ["ssim", "ssim[uniform]", "ssim[padded]", "ssim[downsampled]"]
    assert rules.subjects_of("ssim", known) == tuple(Subject("metric", name) for name in names)
    assert rules.subjects_of("ssim[uniform]", known) == (Subject("metric", "ssim[uniform]"),)

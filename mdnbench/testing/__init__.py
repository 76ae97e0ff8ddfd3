"""Helpers for the tests of a plugin: the conformance rules as pytest tests, and an example image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mdnbench.spec.hookspecs import GROUP
from mdnbench.testing.rules import rule_table, runner, samples
from mdnbench.testing.rules.rule import Finding, Subject
from mdnbench.util.limits import RULE_S

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

SIZE = (96, 112)


def conformance(plugin: ModuleType | str | Path, *, timeout: float = RULE_S) -> Callable[[Subject, str], None]:
    """Return a pytest test with one parameter set for each rule that applies to a plugin.

    One line in a test file is enough:

        test_conformance = conformance(my_plugin)

    Args:
        plugin: The plugin's module, its file, its name, or the name of any method, noise, metric, data set or reporter
            in it.
        timeout: The longest time for one rule, in seconds.
    """
    import pytest

    known, subjects = runner.load(_address(plugin))
    pairs = [(subject, rule) for subject in subjects for rule in rule_table.names(subject.kind)]

    @cache
    def findings() -> Mapping[tuple[Subject, str], Finding]:
        return {(each.subject, each.rule): each for each in runner.check(subjects, known, timeout=timeout)}

    @pytest.mark.parametrize(("subject", "rule"), pairs, ids=[f"{subject.name}-{rule}" for subject, rule in pairs])
    def test_conformance(subject: Subject, rule: str) -> None:
        """Check that a rule is kept. A failure shows what was expected, what was found and how to fix it."""
        finding = findings()[subject, rule]
        if finding.state == "skipped":
            pytest.skip(finding.got)
        if finding.state == "broken":
            pytest.fail(str(finding), pytrace=False)

    return test_conformance


def example(
    sigma: float = 25.0, *, channels: int = 1, size: tuple[int, int] = SIZE, seed: int = 0
) -> tuple[Image, Image]:
    """Return a clean image, and the same image with white Gaussian noise.

    Args:
        sigma: The standard deviation of the noise, on the 0-255 scale.
        channels: 1 for gray, 3 for colour.
        size: The height and width in pixels.
        seed: The seed of the noise.

    Returns:
        Two float32 arrays, (H, W) or (H, W, 3); the clean one is in [0, 1].
    """
    clean = samples.clean(channels, size)
    return clean, samples.noisy(clean, seed, sigma / 255)


def _address(plugin: ModuleType | str | Path) -> str | Path:
    """Return how to find a plugin: the name of its entry point if its module is installed, or else its file."""
    if not isinstance(plugin, ModuleType):
        return plugin
    for point in metadata.entry_points(group=GROUP):
        if point.module == plugin.__name__:
            return point.name
    return Path(plugin.__file__ or plugin.__name__)

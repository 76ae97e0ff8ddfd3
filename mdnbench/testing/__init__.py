"""What a plugin's own tests import: the conformance kit as pytest tests, and an image to try things on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mdnbench.spec.hookspecs import GROUP
from mdnbench.testing.conformance import book, kit, samples
from mdnbench.testing.conformance.rule import Finding, Subject

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

SIZE = (96, 112)


def conformance(plugin: ModuleType | str | Path, *, timeout: float = kit.TIMEOUT_S) -> Callable[[Subject, str], None]:
    """A pytest test with one case for each rule that the plugin has to keep.

    `plugin` is its module, its file, its name, or the name of anything that it brings; `timeout` is in seconds per
    rule. One line in a test file is enough:

        test_conformance = conformance(my_plugin)
    """
    import pytest

    known, subjects = kit.load(_address(plugin))
    cases = [(subject, rule) for subject in subjects for rule in book.names(subject.kind)]

    @cache
    def findings() -> Mapping[tuple[Subject, str], Finding]:
        return {(each.subject, each.rule): each for each in kit.check(subjects, known, timeout=timeout)}

    @pytest.mark.parametrize(("subject", "rule"), cases, ids=[f"{subject.name}-{rule}" for subject, rule in cases])
    def test_conformance(subject: Subject, rule: str) -> None:
        """Each rule is kept; what is wrong is said with what was expected and how to mend it."""
        finding = findings()[subject, rule]
        if finding.state == "skipped":
            pytest.skip(finding.came)
        if finding.state == "broken":
            pytest.fail(str(finding), pytrace=False)

    return test_conformance


def example(
    sigma: float = 25.0, *, channels: int = 1, size: tuple[int, int] = SIZE, seed: int = 0
) -> tuple[Image, Image]:
    """A clean image and the same with Gaussian noise, float32 (H, W) or (H, W, 3); sigma is on the 0-255 scale."""
    clean = samples.clean(channels, size)
    return clean, samples.noisy(clean, seed, sigma / 255)


def _address(plugin: ModuleType | str | Path) -> str | Path:
    """How the kit finds a plugin: an installed module by its entry point's name, another one by its file."""
    if not isinstance(plugin, ModuleType):
        return plugin
    for point in metadata.entry_points(group=GROUP):
        if point.module == plugin.__name__:
            return point.name
    return Path(plugin.__file__ or plugin.__name__)

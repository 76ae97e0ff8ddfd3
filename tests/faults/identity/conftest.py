"""What the tests of identity share: plugins with one level, an installed plugin, and a metric and a noise."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

IMPORTS = """
    import sys
    from pathlib import Path
    import mdnbench
    {line}

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        build = lambda options, device, weights: lambda noisy, noise: noisy * 0 + LEVEL
        return [mdnbench.DenoiserSpec({name!r}, "1", "x", build)]
"""
EDITABLE = """
    import mdnbench

    def build(options, device, weights):
        from lab_plugin.inner import LEVEL
        return lambda noisy, noise: noisy * 0 + LEVEL

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("installed", "1", "x", build)]
"""
JUDGE = """
    import mdnbench

    def build(device):
        from .measure import measure
        return measure

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec("mine", "1", "mine", "lower", build)]
"""
SPOIL = """
    import mdnbench

    def brighter(clean, rng, by):
        import shifting
        return shifting.shifted(clean, by) + rng.normal(clean.shape) * 0.01

    @mdnbench.hookimpl
    def mdnbench_noises():
        by = mdnbench.Option("by", float, help="how much")
        return [mdnbench.NoiseSpec("brighter", "1", "brighter", brighter, lambda by: None, (by,), "y = x + c")]
"""
MEASURE = "def measure(denoised, clean):\n    return float(abs(denoised - clean).mean()) + {more}\n"
SHIFTING = "def shifted(clean, by):\n    return clean + by * {factor}\n"


@pytest.fixture(scope="session")
def level_plugin() -> Callable[[str, str], str]:
    """`level_plugin(name, line)` is the text of a plugin with one method, whose level comes from a line of code."""
    return lambda name, line: IMPORTS.format(name=name, line=line)


@dataclass(frozen=True)
class Package:
    """The package lab_plugin, whose method reads its level from the module `inner` of the package."""

    text: str = textwrap.dedent(EDITABLE)

    def install(self, folder: Path, record: str = "", *, editable: bool = True) -> None:
        """Write what an installer writes about the package lab_plugin."""
        about = folder / "lab_plugin-1.0.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lab_plugin\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[mdnbench]\nlab = lab_plugin\n")
        (about / "RECORD").write_text(record or "lab_plugin-1.0.dist-info/RECORD,,\n")
        if editable:
            (about / "direct_url.json").write_text('{"url": "file:///src", "dir_info": {"editable": true}}')


@pytest.fixture(scope="session")
def lab_package() -> Package:
    """The package lab_plugin: its text, and what an installer writes about it."""
    return Package()


@pytest.fixture(scope="session")
def measure_text() -> Callable[[int], str]:
    """`measure_text(more)` is the text of the helper of the metric `mine`, which adds so much to each score."""
    return lambda more: MEASURE.format(more=more)


@pytest.fixture(scope="session")
def shifting_text() -> Callable[[float], str]:
    """`shifting_text(factor)` is the text of the helper of the noise `brighter`, which multiplies by the factor."""
    return lambda factor: SHIFTING.format(factor=factor)


@pytest.fixture
def judged(lab: Any, measure_text: Any, shifting_text: Any) -> Any:
    """A lab with plugins of a metric and of a noise, each with a helper that is imported late."""
    lab.write("judge.py", JUDGE, plugin=True)
    lab.write("spoil.py", SPOIL, plugin=True)
    lab.write("measure.py", measure_text(0))
    lab.write("shifting.py", shifting_text(1.0))
    return lab

"""Stabilisation in a run: a plugin declares it, the run converts its noise and says so, and withheld noise stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.results import Results, tables

Plugin = Callable[..., Path]

OWN = """
def blur(noisy, std):
    from scipy.ndimage import gaussian_filter
    return gaussian_filter(noisy, 8 * std)

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.wrap_numpy("own", blur, stabilise={stabilise})]
"""


@pytest.fixture
def run(plugin: Plugin, tmp_path: Path) -> Callable[..., Results]:
    """A run of the plugin's method, with its noise stabilised and not, under these noises."""

    def start(noise: Any, *, stabilise: bool = True, **keys: Any) -> Results:
        file = plugin(OWN.format(stabilise=stabilise))
        methods = ["own", f"own[stabilise={not stabilise}]"]
        return api.run(
            methods=methods, noise=noise, dataset="sk12", images=["01"], metrics=["psnr"], timing=False, jobs=1,
            plugins=[str(file)], workspace_folder=tmp_path / ".mdnbench", **keys,
        )  # fmt: skip

    return start


def psnr(results: Results, noise: str) -> dict[str, float]:
    """PSNR by method."""
    return {row.method: row.means["psnr"] for row in results.means if row.noise == noise}


def notes(results: Results) -> list[str]:
    """The notes about stabilisation."""
    return [note for note in tables.footnotes(results.run) if "stabilised" in note]


def test_a_plugin_declares_it(run: Callable[..., Results]) -> None:
    """By default the method sees Gaussian noise and gains; under Gaussian noise the option changes nothing."""
    results = run(["gaussian:25", "salt-pepper:0.1", "speckle:50"])
    assert results.counts == {"ok": 6}
    impulses, speckle = psnr(results, "salt-pepper:density=0.1"), psnr(results, "speckle:sigma=50")
    assert impulses["own"] > impulses["own[stabilise=false]"] + 5
    assert speckle["own"] != speckle["own[stabilise=false]"]  # a blur knows no better with one strength everywhere
    plain = psnr(results, "gaussian:sigma=25")
    assert plain["own"] == plain["own[stabilise=false]"]
    assert notes(results) == ["stabilised to white Gaussian noise for own: salt-pepper:density=0.1, speckle:sigma=50."]


@pytest.mark.parametrize("info", ["withheld", "estimated"])
def test_it_is_off_without_the_noise_information(run: Callable[..., Results], info: str) -> None:
    """What is not known cannot be converted: the option changes nothing, and no note claims it."""
    results = run("speckle:50", noise_info=info)
    found = psnr(results, "speckle:sigma=50")
    assert found["own"] == found["own[stabilise=false]"]
    assert notes(results) == []


def test_it_may_be_off_by_default(run: Callable[..., Results]) -> None:
    """A method that leaves the choice to the user has its noise converted only if the option says so."""
    results = run("salt-pepper:0.1", stabilise=False)
    found = psnr(results, "salt-pepper:density=0.1")
    assert found["own[stabilise=true]"] > found["own"] + 5
    assert notes(results) == ["stabilised to white Gaussian noise for own[stabilise=true]: salt-pepper:density=0.1."]

"""What scoring costs beside denoising: PSNR, SSIM and LPIPS, and the decoding of images, on one thread."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from mdnbench import registry
from mdnbench.errors import Unavailable
from mdnbench.evaluation import scoring
from mdnbench.evaluation.adapters import to_numpy, to_tensor
from mdnbench.evaluation.protocols import load
from mdnbench.spec.specs import Image

pytestmark = pytest.mark.usefixtures("one_thread")
SIDE = 512
READY = """
import time

import torch

from mdnbench import registry

build = registry.load().metrics["lpips"].build
start = time.perf_counter()
build("cpu")
print(time.perf_counter() - start)
"""


@pytest.fixture(scope="module")
def pair() -> tuple[Image, Image]:
    """A photograph of 512×512 and its noisy version at sigma 25, clamped."""
    clean = registry.load().datasets["sk12"].load("08")[:SIDE, :SIDE]
    noise = np.random.default_rng(7).standard_normal(clean.shape, dtype=np.float32) * np.float32(25 / 255)
    return np.clip(clean + noise, 0, 1), clean


def test_psnr(pair: tuple[Image, Image], benchmark: Any, figure: Any) -> None:
    """The peak signal-to-noise ratio is that of the mean squared error."""
    value = benchmark(registry.load().metrics["psnr"].build("cpu"), *pair)
    assert value == pytest.approx(-10 * np.log10(np.square(pair[0].astype(float) - pair[1]).mean()))
    if benchmark.enabled:
        figure("PSNR at 512×512", benchmark.stats.stats.median * 1e3, "ms")


def test_ssim(pair: tuple[Image, Image], benchmark: Any, figure: Any) -> None:
    """SSIM has scikit-image's digits, in much less time."""

    def scikit_image() -> float:
        noisy, clean = (image.astype(np.float64) for image in pair)
        given = {"data_range": 1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        return float(structural_similarity(clean, noisy, **given))

    value = benchmark(registry.load().metrics["ssim"].build("cpu"), *pair)
    assert value == pytest.approx(scikit_image(), abs=1e-6)
    if benchmark.enabled:
        figure("SSIM at 512×512", benchmark.stats.stats.median * 1e3, "ms", below=20)
        figure("scikit-image's SSIM at 512×512", median_s(scikit_image) * 1e3, "ms")


def test_lpips_of_many_methods(
    pair: tuple[Image, Image], benchmark: Any, figure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The features of the clean image are computed once, however many outputs are held against it."""
    from mdnbench_metrics import perceptual

    seen: list[bytes] = []
    compute = perceptual._features

    def counted(model: Any, image: Image, *rest: Any) -> Any:
        seen.append(image.tobytes())
        return compute(model, image, *rest)

    monkeypatch.setattr(perceptual, "_features", counted)
    try:
        score = registry.load().metrics["lpips"].build("cpu")
    except Unavailable as error:
        pytest.skip(str(error))
    noisy, clean = pair
    first = time.perf_counter()
    score(noisy, clean)
    first = time.perf_counter() - first
    for weight in (0.25, 0.5, 0.75):
        score(weight * noisy + (1 - weight) * clean, clean)
    assert seen.count(clean.tobytes()) == 1
    assert len(seen) == 5
    benchmark(score, noisy, clean)
    if benchmark.enabled:
        figure("LPIPS at 512×512, the first output", first * 1e3, "ms")
        figure("LPIPS at 512×512, each further output", benchmark.stats.stats.median * 1e3, "ms")


@pytest.mark.full
def test_lpips_is_ready_within_a_second(benchmark: Any, figure: Any) -> None:
    """A process that has imported torch imports nothing else that takes long before it can score."""
    if reason := registry.load().metrics["lpips"].prepare(False):
        pytest.skip(reason)
    seconds: list[float] = []

    def run() -> None:
        done = subprocess.run([sys.executable, "-c", READY], capture_output=True, text=True, check=True)
        seconds.append(float(done.stdout))

    benchmark.pedantic(run, rounds=5)
    if benchmark.enabled:
        figure("LPIPS ready in a process with torch, median of five", statistics.median(seconds), "s", below=1)


@pytest.mark.parametrize("image", ["01", "08"], ids=["256", "512"])
def test_scoring_beside_denoising(image: str, learned: Any, benchmark: Any, figure: Any) -> None:
    """Decoding, PSNR and SSIM are a small part of a cell of `unet`."""
    known = registry.load()
    dataset, rule = known.datasets["sk12"], load("standard").scoring
    specs = {name: known.metrics[name] for name in ("psnr", "ssim")}
    scorers = {name: spec.build("cpu") for name, spec in specs.items()}
    clean = dataset.load(image)
    noise = np.random.default_rng(1).standard_normal(clean.shape, dtype=np.float32) * np.float32(50 / 255)
    denoise = learned("unet", to_tensor(clean + noise))
    output = to_numpy(denoise())

    scores = benchmark(lambda: scoring.score(output, dataset.load(image), rule, specs, scorers))
    assert [score.status for score in scores] == ["ok", "ok"]
    assert scores[0].value == pytest.approx(scorers["psnr"](rule.apply(output), clean))
    if benchmark.enabled:
        part, call = benchmark.stats.stats.median, median_s(denoise)
        size = f"{clean.shape[1]}×{clean.shape[0]}"
        figure(f"decoding, PSNR and SSIM of a unet cell at {size}", 100 * part / (part + call), "%", below=15)


def median_s(call: Callable[[], object], rounds: int = 7) -> float:
    """The median seconds of a call, after one to warm up."""
    call()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)

"""Stabilisation around a method: what the method is called with, what comes back, and what is left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mdnbench_classical
import mdnbench_noises
from mdnbench.evaluation.cases import reduced_noise_info
from mdnbench.evaluation.outputs import InvalidOutput
from mdnbench.evaluation.rng import NumpyRng
from mdnbench.registry import variants
from mdnbench.spec.names import resolve
from mdnbench.spec.records import NoiseInfo
from mdnbench.wrappers.stabilisation.layer import REPAIR_STD, Stabilised
from mdnbench.wrappers.stabilisation.noise_parts import known

METHODS = {spec.name: spec for spec in mdnbench_classical.mdnbench_denoisers()}
NOISES = {spec.name: spec for spec in mdnbench_noises.mdnbench_noises()}
GRAY = skimage.data.camera()[180:276, 200:296].astype(np.float32)[None] / 255  # (1, 96, 96)
COLOUR = skimage.data.astronaut()[60:124, 180:244].transpose(2, 0, 1).astype(np.float32) / 255  # (3, 64, 64)
KEY = b"mdnbench stabilisation"
MIXED = {"sigma": 25.0, "peak": 60.0, "density": 0.05}
SMOOTH = [("poisson", {"peak": 20.0}), ("speckle", {"sigma": 25.0}), ("speckle", {"sigma": 50.0})]
CASES = [*SMOOTH, ("salt-pepper", {"density": 0.1}), ("mixed", MIXED)]


def noisy(clean: Any, noise: str, params: dict[str, float]) -> tuple[torch.Tensor, NoiseInfo]:
    """A noisy image (1, C, H, W) by a real noise plugin, and what is known of it."""
    spec = NOISES[noise]
    image = spec.apply(clean, NumpyRng(KEY), **params)
    return torch.from_numpy(image[None]), NoiseInfo(noise, params, spec.std(**params), "known")


class Method:
    """A denoiser that notes what it is called with; it returns its input, or each channel's mean."""

    def __init__(self, flat: bool = False) -> None:
        self.flat = flat
        self.image = torch.zeros(0)
        self.info = NoiseInfo()

    def __call__(self, image: torch.Tensor, info: NoiseInfo) -> torch.Tensor:
        """Denoise (1, C, H, W)."""
        self.image, self.info = image, info
        return image.mean(dim=(2, 3), keepdim=True).expand_as(image).contiguous() if self.flat else image.clone()


@pytest.mark.parametrize(("noise", "params"), CASES)
def test_a_method_sees_gaussian_noise_of_the_strength_it_is_told(noise: str, params: dict[str, float]) -> None:
    """Of a flat image, in gray and in colour: the same noise at each intensity, on the [0, 1] scale."""
    for channels, intensity in ((1, 0.3), (3, 0.8)):
        clean = np.full((channels, 128, 128), intensity, np.float32)
        method = Method()
        Stabilised(method, "noise")(*noisy(clean, noise, params))
        std = method.info.params["sigma"] / 255
        assert method.info == NoiseInfo("gaussian", {"sigma": std * 255}, std, "known")
        if noise == "salt-pepper":
            assert std == REPAIR_STD
            continue
        assert float(method.image.std()) == pytest.approx(std, rel=0.06)
        assert 0 < float(method.image.mean()) < 1


@pytest.mark.parametrize(("noise", "params"), CASES)
@pytest.mark.parametrize("clipped", [False, True])
def test_what_comes_back_is_unbiased(noise: str, params: dict[str, float], clipped: bool) -> None:
    """From a method that averages a flat image perfectly, its intensity comes back."""
    for channels, intensity in ((1, 0.3), (3, 0.6)):
        image, info = noisy(np.full((channels, 256, 256), intensity, np.float32), noise, params)
        output = Stabilised(Method(flat=True), "std")(image.clamp(0, 1) if clipped else image, info)
        assert output.mean().item() == pytest.approx(intensity, abs=0.004)


@pytest.mark.parametrize("noise", ["gaussian", "correlated"])
@pytest.mark.parametrize("wants", ["noise", "std", "nothing"])
def test_gaussian_noise_stays_as_it_is(noise: str, wants: Any) -> None:
    """White or correlated, the method gets the noisy image itself and what it wants to know."""
    image, info = noisy(GRAY, noise, {"sigma": 25.0} | ({"width": 3.0} if noise == "correlated" else {}))
    method = Method()
    assert torch.equal(Stabilised(method, wants)(image, info), image)
    assert method.image is image
    assert method.info == reduced_noise_info(info, wants)


@pytest.mark.parametrize(
    "info", [NoiseInfo(), NoiseInfo(std=0.1, source="estimated"), NoiseInfo("fog", {}, 0.1, "known")]
)
def test_noise_that_is_not_known_stays_as_it_is(info: NoiseInfo) -> None:
    """Withheld, estimated, or of a plugin's own kind: there is nothing to convert by."""
    image, _ = noisy(GRAY, "poisson", {"peak": 20.0})
    method = Method()
    assert torch.equal(Stabilised(method, "noise")(image, info), image)
    assert method.info == info


def test_a_method_is_told_no_more_than_it_wants() -> None:
    """Of the Gaussian noise too, a method gets its standard deviation or nothing, as it declares."""
    image, info = noisy(GRAY, "poisson", {"peak": 20.0})
    for wants in ("std", "nothing"):
        method = Method()
        Stabilised(method, wants)(image, info)  # type: ignore[arg-type]
        assert method.info.family == ""
        assert (method.info.std is None) == (wants == "nothing")


def test_the_noises_that_are_converted_are_those_of_the_names() -> None:
    """The plan, which only knows names, and the layer agree on what is converted."""
    params = {"sigma": 25.0, "peak": 20.0, "density": 0.1, "width": 3.0}
    assert {name for name in NOISES if known(NoiseInfo(name, params))} == set(variants.CONVERTED)


def test_samples_that_no_impulse_hit_stay() -> None:
    """Under impulses alone, what was not hit is clean, and is given back bit by bit."""
    image, info = noisy(GRAY * 0.8 + 0.1, "salt-pepper", {"density": 0.2})
    kept = (image != 0) & (image != 1)
    assert torch.equal(Stabilised(Method(flat=True), "std")(image, info)[kept], image[kept])


def test_an_output_of_another_form_is_refused() -> None:
    """Nothing that a method returns is mended on the way back, and its input must stay as it was."""
    image, info = noisy(GRAY, "speckle", {"sigma": 25.0})
    wrong: list[Any] = [
        lambda given, _: given[..., 1:],
        lambda given, _: given.double(),
        lambda given, _: given.mul_(2),
    ]
    for method in wrong:
        with pytest.raises(InvalidOutput, match=r"expected|wrote into its input"):
            Stabilised(method, "std")(image, info)


@settings(derandomize=True, max_examples=20, deadline=None)
@given(
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    source=st.sampled_from([GRAY, COLOUR]),
    case=st.sampled_from(
        [
            ("poisson", {"peak": 0.1}),
            ("poisson", {"peak": 10_000.0}),
            ("salt-pepper", {"density": 0.0}),
            ("salt-pepper", {"density": 1.0}),
            ("mixed", MIXED),
            ("mixed", {"sigma": 0.0, "peak": 60.0, "density": 0.0}),
            ("speckle", {"sigma": 0.0}),
            ("speckle", {"sigma": 0.5}),
            ("speckle", {"sigma": 255.0}),
        ]
    ),
)
def test_any_noise_at_any_size(height: int, width: int, source: Any, case: tuple[str, dict[str, float]]) -> None:
    """At the extremes of each noise nothing fails or warns, and the form and the input are kept."""
    image, info = noisy(np.ascontiguousarray(source[:, :height, :width]), *case)
    before = image.clone()
    output = Stabilised(Method(), "std")(image, info)
    assert (output.shape, output.dtype) == (image.shape, torch.float32)
    assert torch.isfinite(output).all()
    assert torch.equal(image, before)


def psnr(image: torch.Tensor, clean: Any) -> float:
    """PSNR in dB of an image (1, C, H, W), clamped."""
    return float(-10 * np.log10(np.mean((image[0].numpy().clip(0, 1) - clean) ** 2)))


@pytest.mark.parametrize("name", ["nlm", "tv", "wavelet"])
def test_classical_methods_gain(name: str) -> None:
    """On a photograph, each method reduces each of these noises further than it does by itself."""
    spec = METHODS[name]
    named = resolve("method", name, {}, variants.options_of(spec))
    assert variants.stabilises(spec, named)
    denoise = spec.build(variants.own(spec, named), "cpu", None)
    for noise, params in (("speckle", {"sigma": 50.0}), ("poisson", {"peak": 4.0}), *CASES[3:]):
        image, info = noisy(GRAY, noise, params)
        alone = denoise(image, reduced_noise_info(info, spec.wants))
        assert psnr(Stabilised(denoise, spec.wants)(image, info), GRAY) > psnr(alone, GRAY) + 0.2, noise

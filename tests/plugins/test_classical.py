"""The classical denoisers: shapes, ranges, gains in PSNR, repeatability."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mdnbench_classical
from mdnbench.errors import BadOption
from mdnbench.spec.names import Option, resolve
from mdnbench.spec.records import NoiseInfo

SPECS = {spec.name: spec for spec in mdnbench_classical.mdnbench_denoisers()}
GRAY = skimage.data.camera()[128:384, 128:384].astype(np.float32)[None] / 255  # (1, 256, 256)
COLOUR = skimage.data.astronaut()[:160, 150:310].transpose(2, 0, 1).astype(np.float32) / 255  # (3, 160, 160)

# PSNR in dB at sigma 25 on the gray and the colour image; measured about 0.2 higher
FLOORS = {
    "median": (24.6, 25.9),
    "wavelet": (27.4, 29.9),
    "tv": (27.7, 29.4),
    "nlm": (28.2, 29.7),
}


def build(name: str, **given: Any) -> Any:
    """The denoiser as the harness builds it: all options, defaults filled in."""
    options = resolve("method", name, {key: str(value) for key, value in given.items()}, SPECS[name].options).values()
    return SPECS[name].build(options, "cpu", None)


def noisy(clean: Any, std: float, seed: int = 0) -> torch.Tensor:
    """An unclipped noisy image (1, C, H, W)."""
    field = np.random.default_rng(seed).normal(0, std, clean.shape)
    return torch.from_numpy((clean + field).astype(np.float32)[None])


def info(std: float) -> NoiseInfo:
    """What a method that wants the standard deviation is told."""
    return NoiseInfo("gaussian", {"sigma": std * 255}, std, "known")


def psnr(image: torch.Tensor, clean: Any) -> float:
    """PSNR in dB of an image (1, C, H, W), clamped."""
    return float(-10 * np.log10(np.mean((image[0].numpy().clip(0, 1) - clean) ** 2)))


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("shape", [(1, 17, 33), (3, 17, 33), (1, 256, 255), (3, 65, 64), (1, 3, 40), (3, 1, 1)])
def test_shape_dtype_and_input(name: str, shape: tuple[int, int, int]) -> None:
    """Any size, gray or colour, comes back as float32 of its shape, and the input is not written to."""
    channels, height, width = shape
    source = GRAY if channels == 1 else COLOUR
    image = noisy(source[:, :height, :width], 0.1)
    before = image.clone()
    output = build(name)(image, info(0.1))
    assert (output.shape, output.dtype) == (image.shape, torch.float32)
    assert torch.isfinite(output).all()
    assert torch.equal(image, before)


@pytest.mark.parametrize("name", SPECS)
@settings(derandomize=True, max_examples=8, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    std=st.sampled_from([0.0, 0.01, 0.2, 1.0]),
    known=st.booleans(),
)
def test_any_size_and_level(name: str, height: int, width: int, channels: int, std: float, known: bool) -> None:
    """Small images at any noise level, told or not, neither fail nor warn."""
    source = GRAY if channels == 1 else COLOUR
    image = noisy(source[:, 60 : 60 + height, 60 : 60 + width], std)
    output = build(name)(image, info(std) if known else NoiseInfo())
    assert output.shape == image.shape
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("name", FLOORS)
@pytest.mark.parametrize("known", [True, False])
def test_gain_in_psnr(name: str, known: bool) -> None:
    """At sigma 25 each method reaches its usual PSNR, with the noise level told or estimated."""
    for clean, floor in zip((GRAY, COLOUR), FLOORS[name], strict=True):
        image = noisy(clean, 25 / 255)
        output = build(name)(image, info(25 / 255) if known else NoiseInfo())
        assert psnr(output, clean) > max(floor, psnr(image, clean) + 3)


def test_noisy_is_the_floor() -> None:
    """`noisy` gives back the very pixels, in memory of their own."""
    image = noisy(GRAY, 0.2)
    output = build("noisy")(image, NoiseInfo())
    assert torch.equal(output, image)
    assert output.data_ptr() != image.data_ptr()


@pytest.mark.parametrize("name", SPECS)
def test_range_is_respected(name: str) -> None:
    """Nothing is clipped or rescaled: an image moved and stretched gives the output moved and stretched."""
    image = noisy(COLOUR[:, :64, :64], 0.2)
    plain = build(name)(image, info(0.2))
    moved = build(name)(2 * image - 3, info(0.4))
    torch.testing.assert_close((moved + 3) / 2, plain, rtol=0, atol=2e-3)
    assert plain.max() > 1.0 or name != "noisy"


@pytest.mark.parametrize("name", SPECS)
def test_a_constant_image_stays(name: str) -> None:
    """Where nothing varies, nothing is changed, and no warning is given."""
    image = torch.full((1, 3, 24, 31), 0.7)
    for noise in (info(0.1), NoiseInfo()):
        torch.testing.assert_close(build(name)(image, noise), image, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SPECS)
def test_threads_and_repetition_change_nothing(name: str) -> None:
    """Equal inputs give equal bits, from several threads at once too."""
    denoise, image = build(name), noisy(GRAY[:, :96, :96], 0.1)
    first = denoise(image, info(0.1))
    gate = threading.Barrier(3)

    def again(_: int) -> torch.Tensor:
        gate.wait()
        output: torch.Tensor = denoise(image, info(0.1))
        return output

    with ThreadPoolExecutor(3) as pool:
        assert all(torch.equal(first, output) for output in pool.map(again, range(3)))


def test_median_size_removes_larger_specks() -> None:
    """A block of 3x3 white pixels survives a median of 3 and not one of 7."""
    image = torch.zeros(1, 1, 32, 32)
    image[..., 10:13, 10:13] = 1
    assert build("median", size=3)(image, NoiseInfo()).max() == 1
    assert build("median", size=7)(image, NoiseInfo()).max() == 0


def test_tv_weight_overrides() -> None:
    """A given weight is used whatever the noise is said to be; 0 means 0.9 times its std."""
    image = noisy(GRAY[:, :64, :64], 0.1)
    automatic, weighted = build("tv"), build("tv", weight=0.09)
    torch.testing.assert_close(automatic(image, info(0.1)), weighted(image, info(0.3)), rtol=0, atol=1e-6)
    assert not torch.equal(automatic(image, info(0.3)), weighted(image, info(0.3)))


def test_translations_help_the_wavelet() -> None:
    """Averaging over translations gains more than half a dB over the plain transform."""
    image = noisy(GRAY, 25 / 255)
    plain, averaged = (build("wavelet", shifts=n)(image, info(25 / 255)) for n in (1, 4))
    assert psnr(averaged, GRAY) > psnr(plain, GRAY) + 0.5


def test_nlm_cut_off_follows_the_noise() -> None:
    """A larger h smooths more."""
    image = noisy(GRAY[:, :96, :96], 0.1)
    soft, hard = (build("nlm", h=h)(image, info(0.1)) for h in (0.3, 1.5))
    assert hard.std() < soft.std()


@pytest.mark.parametrize(("name", "option"), [(name, each) for name, spec in SPECS.items() for each in spec.options])
def test_every_option_changes_the_output(name: str, option: Option) -> None:
    """Some other value of each option gives another output."""
    image = noisy(GRAY[:, :48, :48], 0.1)
    usual = build(name)(image, info(0.1))
    values = option.choices or (option.minimum, option.maximum)
    others = [build(name, **{option.name: value})(image, info(0.1)) for value in values if value != option.default]
    assert any(not torch.equal(usual, other) for other in others), (
        f"{name}[{option.name}=...] changes nothing: use options['{option.name}'] in build_{name} of "
        "plugins/mdnbench_classical/filters.py"
    )


@pytest.mark.parametrize(
    ("name", "given"),
    [("median", {"size": 4}), ("wavelet", {"shifts": 0}), ("tv", {"weight": -1}), ("nlm", {"patch": 9})],
)
def test_impossible_options_are_refused(name: str, given: dict[str, Any]) -> None:
    """Options outside what a method can do are refused by name."""
    with pytest.raises(BadOption, match=next(iter(given))):
        build(name, **given)


@pytest.mark.parametrize("name", SPECS)
def test_specs_say_where_they_come_from(name: str) -> None:
    """Each method has a licence, and each but the floor a citation."""
    assert SPECS[name].licence
    assert SPECS[name].citation or name == "noisy"
    assert SPECS[name].channels == (1, 3)

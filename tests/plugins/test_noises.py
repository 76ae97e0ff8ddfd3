"""The noises against their own formulas: moments, shapes, both random sources, and digests that pin the pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import mdnbench_noises
from mdnbench.errors import BadOption
from mdnbench.evaluation.rng import NumpyRng
from mdnbench.spec.names import resolve
from mdnbench.spec.specs import NoiseSpec
from mdnbench.training.rng import TorchRng

SPECS = {spec.name: spec for spec in mdnbench_noises.mdnbench_noises()}
CAMERA = skimage.data.camera().astype(np.float32)[None] / 255  # (1, 512, 512)
COLOUR = skimage.data.astronaut().transpose(2, 0, 1).astype(np.float32) / 255  # (3, 512, 512)
EXAMPLES: dict[str, dict[str, float]] = {
    "gaussian": {"sigma": 50.0},
    "poisson": {"peak": 30.0},
    "salt-pepper": {"density": 0.2},
    "mixed": {"sigma": 25.0, "peak": 60.0, "density": 0.05},
    "speckle": {"sigma": 60.0},
    "correlated": {"sigma": 25.0, "width": 3.0},
}
SIGMAS = 6.0  # a false alarm once in 500 million; the draws are fixed besides

few = settings(derandomize=True, max_examples=8, deadline=None)
seeds = st.integers(0, 2**63)
corners = st.integers(0, 256)


def by_numpy(name: str, clean: Any, seed: int, params: dict[str, Any]) -> Any:
    """The noisy image that evaluation would make."""
    rng = NumpyRng(seed.to_bytes(16, "little"))
    return SPECS[name].apply(clean, rng, **params)


def by_torch(name: str, clean: Any, seed: int, params: dict[str, Any]) -> Any:
    """The noisy image that training would make, as an array."""
    rng = TorchRng(torch.Generator().manual_seed(seed))
    return SPECS[name].apply(torch.from_numpy(clean), rng, **params).numpy()


both = pytest.mark.parametrize("make", [by_numpy, by_torch])
Make = Callable[[str, Any, int, dict[str, Any]], Any]


def moments(
    x: Any, *, peak: float = np.inf, sigma: float = 0.0, speckle: float = 0.0, density: float = 0.0
) -> tuple[Any, Any, Any]:
    """Mean, variance and fourth central moment of each pixel of the mixture of everything, from the formulas."""
    shot, gauss = x / peak, (sigma / 255) ** 2 + (x * speckle / 255) ** 2
    variance, third = shot + gauss, shot / peak
    fourth = 3 * variance**2 + shot / peak**2  # cumulants add: only the photons have third and fourth ones
    mean = (1 - density) * x + density / 2

    def about(z: Any, power: int) -> Any:  # an impulse at z, seen from the mean
        return (z - mean) ** power

    impulses = [density / 2 * (about(0.0, p) + about(1.0, p)) for p in (2, 4)]
    off = x - mean
    second = (1 - density) * (variance + off**2) + impulses[0]
    last = (1 - density) * (fourth + 4 * third * off + 6 * variance * off**2 + off**4) + impulses[1]
    return mean, second, last


def assert_moments(noisy: Any, clean: Any, *, width: float = 1, **params: float) -> None:
    """Mean and variance over the image lie within SIGMAS standard errors of the formulas.

    Filtering over width x width pixels makes that many of them count as one, at the worst.
    """
    mean, variance, fourth = moments(clean.astype(np.float64), **params)
    error = noisy.astype(np.float64) - mean
    n = error.size / width**2
    assert abs(error.mean()) <= SIGMAS * np.sqrt(variance.mean() / n) + 1e-6
    assert abs((error**2 - variance).mean()) <= SIGMAS * np.sqrt((fourth - variance**2).mean() / n) + 1e-6


def crop(image: Any, corner: int) -> Any:
    """A piece of 256x256 of a real photograph."""
    return image[:, corner : corner + 256, corner : corner + 256]


@both
@few
@given(sigma=st.floats(0, 255), seed=seeds, corner=corners)
def test_gaussian_moments(make: Make, sigma: float, seed: int, corner: int) -> None:
    """Gaussian noise has mean 0 and variance (sigma/255)^2."""
    clean = crop(CAMERA, corner)
    assert_moments(make("gaussian", clean, seed, {"sigma": sigma}), clean, sigma=sigma)


@both
@few
@given(peak=st.floats(0.5, 5000), seed=seeds, corner=corners)
def test_poisson_moments(make: Make, peak: float, seed: int, corner: int) -> None:
    """Poisson noise keeps the mean and has variance x/peak."""
    clean = crop(CAMERA, corner)
    assert_moments(make("poisson", clean, seed, {"peak": peak}), clean, peak=peak)


@both
@few
@given(density=st.floats(0, 1), seed=seeds, corner=corners)
def test_salt_pepper_moments_and_halves(make: Make, density: float, seed: int, corner: int) -> None:
    """A fraction `density` of the samples is replaced, half by 0 and half by 1; the others are untouched."""
    clean = crop(COLOUR, corner) * 0.5 + 0.25  # no sample is 0 or 1 by itself
    noisy = make("salt-pepper", clean, seed, {"density": density})
    assert_moments(noisy, clean, density=density)
    for value in (0.0, 1.0):
        count, expected = np.sum(noisy == value), clean.size * density / 2
        assert abs(count - expected) <= SIGMAS * np.sqrt(expected * (1 - density / 2)) + 1e-6
    kept = (noisy != 0) & (noisy != 1)
    assert np.array_equal(noisy[kept], clean[kept])


@both
@few
@given(sigma=st.floats(0, 75), peak=st.floats(1, 200), density=st.floats(0, 0.5), seed=seeds, corner=corners)
def test_mixed_moments(make: Make, sigma: float, peak: float, density: float, seed: int, corner: int) -> None:
    """Mixed noise has the moments of photons plus Gaussian, replaced by impulses last."""
    clean, params = crop(CAMERA, corner), {"sigma": sigma, "peak": peak, "density": density}
    assert_moments(make("mixed", clean, seed, params), clean, **params)


def test_mixed_puts_impulses_last() -> None:
    """No noise lies on the impulses: with read-out noise, only they are exactly 0 or 1."""
    noisy = by_numpy("mixed", CAMERA, 5, {"sigma": 25.0, "peak": 60.0, "density": 0.1})
    share = np.mean((noisy == 0) | (noisy == 1))
    assert share == pytest.approx(0.1, abs=SIGMAS * np.sqrt(0.09 / noisy.size))
    assert noisy.min() < 0
    assert noisy.max() > 1


@both
@few
@given(sigma=st.floats(0, 255), seed=seeds, corner=corners)
def test_speckle_moments(make: Make, sigma: float, seed: int, corner: int) -> None:
    """Speckle keeps the mean and has standard deviation x sigma/255."""
    clean = crop(CAMERA, corner)
    assert_moments(make("speckle", clean, seed, {"sigma": sigma}), clean, speckle=sigma)


@both
@few
@given(sigma=st.floats(0, 255), width=st.integers(1, 9), seed=seeds, corner=corners)
def test_correlated_moments(make: Make, sigma: float, width: int, seed: int, corner: int) -> None:
    """Correlated noise has standard deviation sigma/255 whatever its width."""
    clean = crop(CAMERA, corner)
    noisy = make("correlated", clean, seed, {"sigma": sigma, "width": float(width)})
    assert_moments(noisy, clean, width=width, sigma=sigma)


@both
@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_correlation_length(make: Make, width: int) -> None:
    """The correlation falls linearly with distance and is gone at `width` pixels, along both axes."""
    field = make("correlated", np.zeros((1, 512, 512), np.float32), 3, {"sigma": 255.0, "width": float(width)})[0]
    for lag in range(width + 3):
        wanted, bound = max(0.0, 1 - lag / width), SIGMAS * width / 512
        assert np.mean(field[lag:] * field[: 512 - lag]) == pytest.approx(wanted, abs=bound)
        assert np.mean(field[:, lag:] * field[:, : 512 - lag]) == pytest.approx(wanted, abs=bound)


def test_correlated_is_alike_at_the_border() -> None:
    """The standard deviation in the outermost rows is that of the middle."""
    clean = np.zeros((400, 1, 16, 16), np.float32)
    field = by_numpy("correlated", clean, 1, {"sigma": 255.0, "width": 7.0})
    assert field[..., 0, :].std() == pytest.approx(1, abs=0.1)
    assert field[..., 8, :].std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", SPECS)
def test_numpy_and_torch_draw_from_one_distribution(name: str) -> None:
    """A Kolmogorov-Smirnov test cannot tell the noise of evaluation from the noise of training."""
    clean = CAMERA[:, 128:384, 128:384]
    one, two = (make(name, clean, 11, EXAMPLES[name]) - clean for make in (by_numpy, by_torch))
    thin = 3 if name == "correlated" else 1  # neighbours that resemble each other are no independent sample
    samples = [field[:, ::thin, ::thin].ravel() for field in (one, two)]
    assert stats.ks_2samp(*samples).pvalue > 1e-4


@both
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 17, 33), (3, 16, 9), (2, 3, 8, 8)])
def test_shape_dtype_and_input(make: Make, name: str, shape: tuple[int, ...]) -> None:
    """Any (…, C, H, W) keeps its shape and float32, and the clean image is not written to."""
    clean = np.full(shape, 0.5, np.float32)
    noisy = make(name, clean, 7, EXAMPLES[name])
    assert (noisy.shape, noisy.dtype) == (shape, np.float32)
    assert np.all(clean == 0.5)
    assert not np.array_equal(noisy, clean) or name == "salt-pepper"


@both
@pytest.mark.parametrize("name", SPECS)
def test_parameters_may_be_arrays(make: Make, name: str) -> None:
    """A float32 array of parameters gives each image of a batch its own: equal entries equal the number."""
    clean = np.stack([CAMERA[:, :32, :32]] * 2)
    full: Any = np.full if make is by_numpy else torch.full
    dtype = np.float32 if make is by_numpy else torch.float32
    given = {
        key: value if key == "width" else full((2, 1, 1, 1), value, dtype=dtype)
        for key, value in EXAMPLES[name].items()
    }
    batch, single = make(name, clean, 7, given), make(name, clean, 7, EXAMPLES[name])
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch, single, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_numpy_numbers_do_not_widen(name: str) -> None:
    """A parameter that is a float64 scalar of NumPy still gives float32."""
    params = {key: np.float64(value) for key, value in EXAMPLES[name].items()}
    assert by_numpy(name, CAMERA[:, :8, :8], 1, params).dtype == np.float32


@pytest.mark.parametrize("name", SPECS)
def test_equal_keys_give_equal_pixels(name: str) -> None:
    """The noise follows from the key alone, and another key gives another noise."""
    clean = CAMERA[:, :64, :64]
    first, again, other = (by_numpy(name, clean, seed, EXAMPLES[name]) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["gaussian", "correlated"])
def test_std_of_additive_noise(name: str) -> None:
    """Where the noise does not depend on the image, its standard deviation is sigma/255."""
    params = {**EXAMPLES[name], "sigma": 51.0}
    assert SPECS[name].std(**params) == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["poisson", "salt-pepper", "mixed", "speckle"])
def test_std_that_depends_on_the_image_is_unknown(name: str) -> None:
    """Where the noise depends on the image, no standard deviation is claimed."""
    assert SPECS[name].std(**EXAMPLES[name]) is None


@pytest.mark.parametrize("name", ["gaussian", "speckle", "correlated", "mixed"])
@pytest.mark.parametrize("sigma", ["-1", "nan", "900", "inf", "much"])
def test_impossible_sigmas_are_refused(name: str, sigma: str) -> None:
    """A sigma that is negative, not a number or beyond 255 is refused with what is allowed."""
    given = {"sigma": sigma} | ({"width": "3"} if name == "correlated" else {})
    with pytest.raises(BadOption, match="from 0 to 255"):
        resolve("noise", name, given, SPECS[name].parameters)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("poisson", {"peak": "0"}),
        ("poisson", {"peak": "-3"}),
        ("salt-pepper", {"density": "1.5"}),
        ("correlated", {"sigma": "5", "width": "0"}),
        ("correlated", {"sigma": "5", "width": "2.5"}),
        ("correlated", {"sigma": "5", "width": "32"}),
        ("gaussian", {}),
    ],
)
def test_impossible_parameters_are_refused(name: str, given: dict[str, str]) -> None:
    """What makes no noise is refused before anything runs."""
    with pytest.raises(BadOption):
        resolve("noise", name, given, SPECS[name].parameters)


def test_mixed_has_defaults() -> None:
    """`mixed` alone means sigma 25, peak 60 and density 0.05."""
    named = resolve("noise", "mixed", {}, SPECS["mixed"].parameters)
    assert (named.text, named.numbers()) == ("mixed", {"sigma": 25.0, "peak": 60.0, "density": 0.05})


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
def test_every_noise_says_its_formula(spec: NoiseSpec) -> None:
    """Each noise has a formula that starts from y, a summary and a revision."""
    assert spec.formula.startswith("y = ")
    assert spec.summary
    assert spec.revision


NUMPY = "2.4.6"  # the version in the constraints; NumPy may change its streams between versions
GOLDEN = {
    ("gaussian", 256): "23d626d46ec42e1b5e20f61939ee584e989bc2212f90630b387651e9d8a50242",
    ("gaussian", 512): "f1d7e3d1fa4b5119fbfc7c50ee407edd4e76f1f7bf6bed1168f125d26e7ec5d4",
    ("poisson", 256): "d0b4a34dc19fd35a241db467d8ab63ef7e26607eba2e5a41591b28834659470e",
    ("poisson", 512): "3b10a2962fc8c454d41ac3f97bcdc303b6761fa142b19ae0d186bc060c620a98",
    ("salt-pepper", 256): "a7c89f86675c45b8fa0fee2a83b705a9e70d03603949634d92e7d6e40b98459e",
    ("salt-pepper", 512): "e8ec8cf4fe415cff3ce010a3ea0d1178cc3054b6ac29c1a0110fcf5aa83659fb",
    ("mixed", 256): "2460fced95e4cb73e1894cf1c25992d28b2c66f937170c32cddca9d8b3bd732f",
    ("mixed", 512): "3f6676543756d331d895de1830ec52fa5f4226787e8ca4610a8e631f105ad24a",
    ("speckle", 256): "af0989c59942244f939601080aa156e8001e13a70ad1e5014c182865a67a1528",
    ("speckle", 512): "259e666d43dc2bc2e219fe54b03d31580d73cd5f238ed4b4cae2b83d8126ee30",
    ("correlated", 256): "2cb7c143c3f3a537a913b35a290dd2c0ac90bcaeef585e789d8ef2b272b52aa0",
    ("correlated", 512): "413a60d03addf07368df8a37bad6a1db36150e8d92346dde22ada1c0068edad3",
}


@pytest.mark.skipif(np.__version__ != NUMPY, reason=f"the digests belong to numpy {NUMPY}, here is {np.__version__}")
@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("name", SPECS)
def test_golden_pixels(name: str, size: int) -> None:
    """The noisy pixels of two images are, bit for bit, those on which the baselines rest."""
    start = (512 - size) // 2
    clean = CAMERA[:, start : start + size, start : start + size]
    rng = NumpyRng(hashlib.sha256(b"mdnbench golden noise").digest())
    noisy = np.ascontiguousarray(SPECS[name].apply(clean, rng, **EXAMPLES[name]), dtype="<f4")
    assert hashlib.sha256(noisy.tobytes()).hexdigest() == GOLDEN[name, size]

"""BM3D: what it does follows from the noise, whatever the size, by itself and with stabilised noise."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mdnbench_bm3d
import mdnbench_noises
from mdnbench import Unavailable
from mdnbench.errors import UsageError
from mdnbench.evaluation.rng import NumpyRng
from mdnbench.registry import variants
from mdnbench.spec.names import resolve
from mdnbench.spec.records import NoiseInfo
from mdnbench.wrappers.stabilisation.layer import Stabilised
from mdnbench_bm3d import package
from mdnbench_bm3d.spectrum import box_spectrum

(SPEC,) = mdnbench_bm3d.mdnbench_denoisers()
NOISES = {spec.name: spec for spec in mdnbench_noises.mdnbench_noises()}
GRAY = skimage.data.camera()[180:276, 200:296].astype(np.float32)[None] / 255  # (1, 96, 96)
COLOUR = skimage.data.astronaut()[60:124, 180:244].transpose(2, 0, 1).astype(np.float32) / 255  # (3, 64, 64)
KEY = b"mdnbench bm3d tests"


def build(**given: Any) -> Any:
    """The denoiser as the harness builds it, of the fast profile unless another is given."""
    text = {"profile": "lc"} | {key: str(value) for key, value in given.items()}
    named = resolve("method", "bm3d", text, variants.options_of(SPEC))
    denoise = SPEC.build(variants.own(SPEC, named), "cpu", None)
    return Stabilised(denoise, SPEC.wants) if variants.stabilises(SPEC, named) else denoise


def noisy(clean: Any, noise: str, **params: float) -> tuple[torch.Tensor, NoiseInfo]:
    """A noisy image (1, C, H, W) by a real noise plugin, and what is known of it."""
    spec = NOISES[noise]
    image = spec.apply(clean, NumpyRng(KEY), **params)
    return torch.from_numpy(image[None]), NoiseInfo(noise, params, spec.std(**params), "known")


def psnr(image: torch.Tensor, clean: Any) -> float:
    """PSNR in dB of an image (1, C, H, W), clamped."""
    return float(-10 * np.log10(np.mean((image[0].numpy().clip(0, 1) - clean) ** 2)))


SIZES = [(1, 17, 33), (3, 17, 33), (1, 8, 8), (3, 8, 8), (1, 5, 40), (3, 1, 1), (1, 12, 12)]
FEW = [
    ("own", "np", (3, 8, 8)), ("own", "fast", (1, 7, 9)), ("package", "np", (3, 8, 8)), ("package", "high", (1, 8, 8)),
    ("package", "vn", (1, 11, 11)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "profile", "shape"),
    [*(("own", "lc", shape) for shape in SIZES), *(("package", "lc", shape) for shape in SIZES), *FEW],
)
def test_shape_dtype_and_input(engine: str, profile: str, shape: tuple[int, int, int]) -> None:
    """Any size, smaller than BM3D's blocks too, comes back as float32 of its shape; the input is not written to."""
    channels, height, width = shape
    source = GRAY if channels == 1 else COLOUR
    image, info = noisy(np.ascontiguousarray(source[:, :height, :width]), "gaussian", sigma=25.0)
    before = image.clone()
    output = build(engine=engine, profile=profile)(image, info)
    assert (output.shape, output.dtype) == (image.shape, torch.float32)
    assert torch.isfinite(output).all()
    assert torch.equal(image, before)


def test_a_whole_image_of_odd_width() -> None:
    """A gray image of 256x255 is denoised as a whole, to the PSNR that BM3D is known for."""
    clean = skimage.data.camera()[128:384, 128:383].astype(np.float32)[None] / 255
    image, info = noisy(clean, "gaussian", sigma=50.0)
    output = build()(image, info)
    assert output.shape == image.shape
    assert psnr(output, clean) > 26.2


@settings(derandomize=True, max_examples=10, deadline=None)
@given(
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    source=st.sampled_from([GRAY, COLOUR]),
    case=st.sampled_from(
        [
            ("gaussian", {"sigma": 0.0}),
            ("gaussian", {"sigma": 255.0}),
            ("poisson", {"peak": 0.1}),
            ("poisson", {"peak": 10_000.0}),
            ("salt-pepper", {"density": 0.0}),
            ("salt-pepper", {"density": 1.0}),
            ("mixed", {"sigma": 25.0, "peak": 60.0, "density": 0.05}),
            ("speckle", {"sigma": 60.0}),
            ("correlated", {"sigma": 25.0, "width": 31.0}),
        ]
    ),
    told=st.booleans(),
    on=st.booleans(),
    engine=st.sampled_from(["own", "package"]),
)
def test_any_noise_at_any_size(
    height: int, width: int, source: Any, case: tuple[str, dict[str, float]], told: bool, on: bool, engine: str
) -> None:
    """Every noise at its extremes, told or withheld, stabilised or not, neither fails nor warns."""
    clean = np.ascontiguousarray(source[:, :height, :width])
    image, info = noisy(clean, case[0], **case[1])
    output = build(stabilise=on, engine=engine)(image, info if told else NoiseInfo())
    assert output.shape == image.shape
    assert torch.isfinite(output).all()


@pytest.mark.parametrize(
    ("noise", "params", "gain"),
    [
        ("gaussian", {"sigma": 25.0}, 7.0),
        ("poisson", {"peak": 30.0}, 7.0),
        ("salt-pepper", {"density": 0.1}, 15.0),
        ("mixed", {"sigma": 25.0, "peak": 60.0, "density": 0.05}, 9.0),
        ("speckle", {"sigma": 60.0}, 2.5),
        ("correlated", {"sigma": 25.0, "width": 3.0}, 3.0),
    ],
)
def test_gain_in_psnr(noise: str, params: dict[str, float], gain: float) -> None:
    """Each noise is reduced by what one expects of BM3D, in gray and in colour."""
    for clean in (GRAY, COLOUR):
        image, info = noisy(clean, noise, **params)
        assert psnr(build()(image, info), clean) > psnr(image, clean) + gain


def test_withheld_and_estimated_levels() -> None:
    """White noise whose level is withheld, or estimated, is reduced almost as well as with the true level."""
    image, info = noisy(GRAY, "gaussian", sigma=25.0)
    told = psnr(build()(image, info), GRAY)
    estimated = NoiseInfo(std=25 / 255, source="estimated")
    assert psnr(build()(image, NoiseInfo()), GRAY) > told - 0.5
    assert torch.equal(build()(image, estimated), build()(image, info))


@pytest.mark.parametrize(
    ("noise", "params", "gain"),
    [
        ("poisson", {"peak": 15.0}, 0.5),
        ("speckle", {"sigma": 25.0}, 0.8),
        ("speckle", {"sigma": 50.0}, 0.8),
        ("salt-pepper", {"density": 0.1}, 1.0),
        ("mixed", {"sigma": 25.0, "peak": 60.0, "density": 0.05}, 1.0),
    ],
)
def test_stabilisation_helps(noise: str, params: dict[str, float], gain: float) -> None:
    """With stabilisation, noise that depends on the image, or replaces it, is reduced by much more than without."""
    image, info = noisy(GRAY, noise, **params)
    with_it, without = (psnr(build(stabilise=on)(image, info), GRAY) for on in (True, False))
    assert with_it > without + gain


def test_samples_that_no_impulse_hit_stay() -> None:
    """Under impulses alone, what was not hit is clean, and is given back bit by bit."""
    clean = GRAY * 0.8 + 0.1
    image, info = noisy(clean, "salt-pepper", density=0.2)
    kept = (image != 0) & (image != 1)
    assert torch.equal(build()(image, info)[kept], image[kept])


def test_the_spectrum_helps_against_correlated_noise() -> None:
    """Told that the noise is correlated, BM3D gains more than 2 dB over taking it for white."""
    image, info = noisy(GRAY, "correlated", sigma=25.0, width=3.0)
    white = NoiseInfo("gaussian", {"sigma": 25.0}, 25 / 255, "known")
    assert psnr(build()(image, info), GRAY) > psnr(build()(image, white), GRAY) + 2


@pytest.mark.parametrize("width", [2, 3, 8])
def test_the_spectrum_is_that_of_the_noise(width: int) -> None:
    """The spectrum handed to BM3D is the mean periodogram of the noise itself."""
    fields = NOISES["correlated"].apply(
        np.zeros((4000, 1, 16, 20), np.float32), NumpyRng(KEY), sigma=51.0, width=float(width)
    )
    windowed = np.abs(np.fft.fft2(fields[:, 0])) ** 2
    spectrum = box_spectrum((16, 20), 0.2, width)
    assert spectrum.mean() == pytest.approx(0.04 * 16 * 20)
    assert windowed.mean() == pytest.approx(spectrum.mean(), rel=0.05)
    # low frequencies hold the power, in the noise as in the spectrum
    assert np.corrcoef(windowed.mean(axis=0).ravel(), spectrum.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("engine", ["own", "package"])
def test_gray_stored_as_colour(engine: str) -> None:
    """Three equal channels, over whose differences the package would divide by zero, come back equal and denoised."""
    gray, info = noisy(np.ascontiguousarray(GRAY[:, :48, :48]), "gaussian", sigma=25.0)
    output = build(engine=engine)(gray.expand(1, 3, 48, 48), info)
    assert torch.equal(output[:, 0], output[:, 2])
    torch.testing.assert_close(output[:, :1], build(engine=engine)(gray, info))


@pytest.mark.parametrize("engine", ["own", "package"])
def test_equal_inputs_give_equal_bits_quietly(engine: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Repeating changes no bit, and nothing is printed, by the compiled library neither."""
    for clean in (GRAY[:, :48, :48], COLOUR[:, :32, :32]):
        image, info = noisy(np.ascontiguousarray(clean), "mixed", sigma=25.0, peak=60.0, density=0.05)
        first, second = (build(engine=engine, profile="np")(image, info) for _ in range(2))
        assert torch.equal(first, second)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("given", [{"profile": "refilter"}, {"stabilise": "maybe"}, {"peak": 3}])
def test_impossible_options_are_refused(given: dict[str, Any]) -> None:
    """A profile that does not work, or an option that there is not, is refused."""
    with pytest.raises(UsageError, match=next(iter(given))):
        build(**given)


def test_without_the_package() -> None:
    """Where bm3d is not installed, our engine works, and asking for the package says what to do."""
    script = (
        "import sys; sys.modules['bm3d'] = None\n"
        "from mdnbench import Unavailable\n"
        "import mdnbench_bm3d\n"
        "spec, = mdnbench_bm3d.mdnbench_denoisers()\n"
        "spec.build({'engine': 'own', 'profile': 'lc'}, 'cpu', None)\n"
        "try:\n"
        "    spec.build({'engine': 'package', 'profile': 'np'}, 'cpu', None)\n"
        "except Unavailable as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'mdnbench[bm3d]'" in done.stdout
    assert "non-commercial" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_importing_the_plugin_is_cheap() -> None:
    """Listing the method loads neither NumPy, nor numba, nor bm3d."""
    script = (
        "import sys, mdnbench_bm3d as m; m.mdnbench_denoisers(); print({'numpy', 'numba', 'bm3d'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_licence_is_said() -> None:
    """Whoever lists the method reads that the engine is free, and the package for non-commercial use only."""
    assert SPEC.licence.startswith("MIT")
    assert "Tampere University" in SPEC.licence
    assert "non-commercial" in SPEC.licence


@pytest.mark.parametrize(("engine", "profile"), [("own", "high"), ("package", "fast")])
def test_a_profile_of_the_other_engine(engine: str, profile: str) -> None:
    """A profile that the engine does not have is refused, with those that it has."""
    with pytest.raises(Unavailable, match=f"engine={engine} has no profile {profile}; it has np, lc"):
        build(engine=engine, profile=profile)


@pytest.mark.parametrize("profile", package.PROFILES)
def test_one_thread(profile: str) -> None:
    """Every profile of the package runs on one thread."""
    assert package.load(profile)._profile(correlated=False).num_threads == 1


def test_an_unknown_family_with_a_level_is_taken_as_white() -> None:
    """A stranger's noise that tells its standard deviation is treated as white noise of that strength."""
    image, info = noisy(GRAY, "gaussian", sigma=25.0)
    stranger = NoiseInfo("fog", {"thickness": 3.0}, 25 / 255, "known")
    assert torch.equal(build()(image, stranger), build()(image, info))

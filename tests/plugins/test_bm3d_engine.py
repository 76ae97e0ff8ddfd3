"""Our BM3D as a function: as good as the package, the same bits for any number of threads, and clear about mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data

from mdnbench_bm3d import bm3d, package, transforms
from mdnbench_bm3d.profiles import PROFILES
from mdnbench_bm3d.spectrum import box_spectrum

CAMERA = skimage.data.camera()[128:288, 128:304].astype(np.float64) / 255
COLOUR = skimage.data.astronaut()[40:168, 100:228].astype(np.float64) / 255


def noisy(clean: Any, sigma: float, seed: int = 0) -> Any:
    """White Gaussian noise of `sigma` (of 255), not clipped."""
    return clean + np.random.default_rng([seed, int(sigma)]).normal(0, sigma / 255, clean.shape)


def psnr(image: Any, clean: Any) -> float:
    """PSNR in dB of an image that is clipped to [0, 1]."""
    return float(-10 * np.log10(np.mean((np.clip(image, 0, 1) - clean) ** 2)))


@pytest.mark.parametrize("clean", [CAMERA, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize("sigma", [15.0, 50.0])
def test_as_good_as_the_package(clean: Any, sigma: float) -> None:
    """The normal profile is at most 0.2 dB below the package on one image; the fast one loses little more."""
    image = noisy(clean, sigma)
    reference = psnr(package.load("np")(image, sigma / 255), clean)
    assert psnr(bm3d(image, sigma / 255), clean) > reference - 0.2
    assert psnr(bm3d(image, sigma / 255, profile="lc"), clean) > reference - 0.5
    assert psnr(bm3d(image, sigma / 255, profile="fast"), clean) > reference - 0.8


def test_correlated_noise_as_good_as_the_package() -> None:
    """With the noise's spectrum, the engine is at most 0.3 dB below the package, and 2 dB above itself without."""
    width, sigma = 3, 25 / 255
    spectrum = box_spectrum(CAMERA.shape, sigma, width)
    white = np.fft.fft2(np.random.default_rng(1).normal(size=CAMERA.shape))
    image = CAMERA + np.fft.ifft2(white * np.sqrt(spectrum / CAMERA.size)).real
    told = psnr(bm3d(image, sigma, spectrum=spectrum), CAMERA)
    assert told > psnr(package.load("np")(image, sigma, width), CAMERA) - 0.3
    assert told > psnr(bm3d(image, sigma), CAMERA) + 2


def test_a_map_of_levels() -> None:
    """A map of equal levels is that level; where levels differ, the map is better than their mean."""
    image = noisy(CAMERA, 25.0)
    level = np.full(CAMERA.shape, 25 / 255)
    np.testing.assert_allclose(bm3d(image, level), bm3d(image, 25 / 255), atol=1e-5)
    level[:, CAMERA.shape[1] // 2 :] = 60 / 255
    level[:, : CAMERA.shape[1] // 2] = 8 / 255
    image = CAMERA + np.random.default_rng(2).normal(0, 1, CAMERA.shape) * level
    mean = float(np.sqrt((level**2).mean()))
    assert psnr(bm3d(image, level), CAMERA) > psnr(bm3d(image, mean), CAMERA) + 1


def test_a_map_with_clean_pixels() -> None:
    """Where the level is 0, the image stays nearly as it is."""
    level = np.zeros(CAMERA.shape)
    level[:80] = 40 / 255
    image = CAMERA + np.random.default_rng(3).normal(0, 1, CAMERA.shape) * level
    denoised = bm3d(image, level)
    assert np.isfinite(denoised).all()
    assert np.abs(denoised[110:] - CAMERA[110:]).max() < 0.02


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("shape", [(160, 700), (300, 150, 3)])
def test_the_number_of_threads_changes_no_bit(profile: str, shape: tuple[int, ...]) -> None:
    """Tiles are added up in the same order, whichever thread computes them."""
    image = np.random.default_rng(4).random(shape)
    alone = bm3d(image, 0.2, profile=profile)
    for threads in (2, 5):
        assert np.array_equal(bm3d(image, 0.2, profile=profile, threads=threads), alone)


@pytest.mark.parametrize("shape", [(8, 8), (8, 200), (9, 10), (31, 17), (8, 9, 3), (105, 390)])
@pytest.mark.parametrize("profile", PROFILES)
def test_any_size(shape: tuple[int, ...], profile: str) -> None:
    """Every pixel of an image of any size is covered: a constant image stays so, and noise on it nearly vanishes."""
    flat = np.full(shape, 0.4)
    assert np.abs(bm3d(flat, 0.1, profile=profile) - 0.4).max() < 1e-5
    image = flat + np.random.default_rng(5).normal(0, 0.1, shape)
    denoised = bm3d(image, 0.1, profile=profile)
    assert denoised.dtype == np.float32
    assert denoised.shape == shape
    assert denoised.std() < 0.075


def test_tiles_are_invisible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of another size give the same image, but where the order of sums moves a value over the threshold."""
    from mdnbench_bm3d import passes

    image = noisy(CAMERA, 25.0)
    whole = bm3d(image, 25 / 255)
    for rows, columns in ((5, 7), (16, 128), (200, 200)):
        monkeypatch.setattr(passes, "TILE_ROWS", rows)
        monkeypatch.setattr(passes, "TILE_COLUMNS", columns)
        differences = np.abs(bm3d(image, 25 / 255) - whole)
        assert differences.mean() < 1e-4
        assert (differences > 1e-3).mean() < 0.01


def test_a_constant_is_only_added() -> None:
    """Adding a constant to the image adds it to the result."""
    image = noisy(CAMERA, 25.0)
    denoised = bm3d(image, 25 / 255)
    assert np.abs(bm3d(image + 0.25, 25 / 255) - denoised - 0.25).max() < 1e-3


def test_no_noise() -> None:
    """With a level of 0 the image is given back as it is."""
    assert np.array_equal(bm3d(CAMERA, 0.0), CAMERA.astype(np.float32))
    assert np.array_equal(bm3d(CAMERA, np.zeros(CAMERA.shape)), CAMERA.astype(np.float32))


@pytest.mark.parametrize("sigma", [1e-30, 1e-18, 1e-11, 1e-6, 1e6])
def test_extreme_levels(sigma: float) -> None:
    """Levels far from those of images give finite results; a tiny one leaves the image nearly as it is."""
    denoised = bm3d(CAMERA, sigma)
    assert np.isfinite(denoised).all()
    if sigma < 1e-5:
        assert np.abs(denoised - CAMERA).max() < 1e-4


@pytest.mark.parametrize("shape", [(8, 8), (8, 200), (12, 40), (64, 64)])
@pytest.mark.parametrize("kind", ["wide box", "constant", "stripes"])
def test_noise_of_few_frequencies(shape: tuple[int, int], kind: str) -> None:
    """Spectra that leave coefficients without noise, on images as small as a block, give finite and better images."""
    spectrum = np.zeros(shape)
    if kind == "wide box":
        spectrum = box_spectrum(shape, 0.1, 7)
    elif kind == "constant":
        spectrum[0, 0] = 1
    else:
        spectrum[0, 2] = spectrum[0, -2] = 1
    clean = np.zeros(shape)
    clean[:, shape[1] // 2 :] = 0.5
    white = np.fft.fft2(np.random.default_rng(7).normal(size=shape))
    noise = np.fft.ifft2(white * np.sqrt(spectrum / spectrum.mean())).real * 0.1
    denoised = bm3d(clean + noise, 0.1, spectrum=spectrum)
    assert np.isfinite(denoised).all()
    assert np.abs(denoised).max() < 1.5


def test_the_input_is_not_written_to() -> None:
    """The image and the map stay as they are."""
    image, level = noisy(CAMERA, 25.0).astype(np.float32), np.full(CAMERA.shape, 0.1)
    before = image.copy()
    bm3d(image, level)
    assert np.array_equal(image, before)
    assert (level == 0.1).all()


@pytest.mark.parametrize(
    ("image", "sigma", "more", "reason"),
    [
        (np.zeros((7, 20)), 0.1, {}, "at least 8x8"),
        (np.zeros((20, 20, 4)), 0.1, {}, r"\(H, W\) or \(H, W, 3\)"),
        (np.zeros(20), 0.1, {}, r"\(H, W\)"),
        (np.full((20, 20), np.nan), 0.1, {}, "not finite"),
        (np.full((20, 20), np.inf), 0.1, {}, "not finite"),
        (np.full((20, 20), 1e39), 0.1, {}, "beyond 1e\\+12"),
        (np.full((20, 20), "a"), 0.1, {}, "numbers are needed"),
        (np.zeros((20, 20)), -0.1, {}, "at least 0"),
        (np.zeros((20, 20)), 1e20, {}, "below 1e\\+12"),
        (np.zeros((20, 20)), np.nan, {}, "finite"),
        (np.zeros((20, 20)), np.zeros((20, 21)), {}, "sigma has the shape"),
        (np.zeros((20, 20)), 0.1, {"profile": "vn"}, "choose from np, lc, fast"),
        (np.zeros((20, 20)), 0.1, {"threads": 0}, "threads must be at least 1"),
        (np.zeros((20, 20)), 0.1, {"spectrum": np.ones((3, 3))}, "spectrum"),
        (np.zeros((20, 20)), 0.1, {"spectrum": -np.ones((20, 20))}, "spectrum"),
    ],
)
def test_mistakes(image: Any, sigma: Any, more: dict[str, Any], reason: str) -> None:
    """Each mistake is a ValueError that says what is wrong."""
    with pytest.raises(ValueError, match=reason):
        bm3d(image, sigma, **more)


@pytest.mark.filterwarnings("ignore:Level value")
def test_the_transforms() -> None:
    """The DCT is orthonormal; the wavelet's functions have norm one, and all but the first sum to 0."""
    assert np.allclose(transforms.dct() @ transforms.dct().T, np.eye(8))
    wavelet = transforms.biorthogonal()
    assert np.allclose(np.linalg.norm(wavelet, axis=1), 1)
    assert np.allclose(wavelet[1:].sum(axis=1), 0)
    pywt = pytest.importorskip("pywt")
    theirs = np.stack([np.concatenate(pywt.wavedec(e, "bior1.5", "periodization", 3)) for e in np.eye(8)], axis=1)
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    assert np.allclose(np.abs(np.sort(np.abs(wavelet), axis=1)), np.sort(np.abs(theirs), axis=1))


@pytest.mark.parametrize("width", [1, 3])
def test_covariances_are_those_of_noise(width: int) -> None:
    """The covariance of two blocks' coefficients is that which simulated noise has."""
    spectrum = box_spectrum((64, 64), 1.0, width)
    reach = width - 1
    correlation = np.fft.fftshift(np.fft.ifft2(spectrum).real) / 64**2
    noise = correlation[32 - reach : 33 + reach, 32 - reach : 33 + reach]
    table = transforms.covariances(transforms.dct(), noise, 30)
    middle = table.shape[1] // 2
    random = np.random.default_rng(6)
    matrix = transforms.dct()
    white = np.fft.fft2(random.normal(size=(4000, 64, 64)))
    fields = np.fft.ifft2(white * np.sqrt(spectrum / 64**2)).real
    first = matrix @ fields[:, :8, 20:28] @ matrix.T
    for dy, dx in ((0, 0), (1, 2), (3, -2), (0, 7), (7, 1)):
        second = matrix @ fields[:, dy : dy + 8, 20 + dx : 28 + dx] @ matrix.T
        found = (first * second).mean(axis=0).ravel()
        assert np.abs(found - table[dy, middle + dx]).max() < 0.08 * max(1, table.max())


def test_compiled_once_for_all_processes(tmp_path: Path) -> None:
    """Two processes that begin together compile once; the next one takes what is there, and nothing is said."""
    script = "import numpy as np; from mdnbench_bm3d import bm3d; print(bm3d(np.eye(16), 0.1, profile='lc').sum())"
    around = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    both = [
        subprocess.Popen([sys.executable, "-c", script], env=around, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    texts = [process.communicate(timeout=600) for process in both]
    assert texts[0][0] == texts[1][0] != b""
    assert sum(b"BM3D is compiled, once on this machine" in error for _, error in texts) == 1
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "numba").rglob("*.nbc")}
    assert written
    again = subprocess.run([sys.executable, "-c", script], env=around, capture_output=True, check=True)
    assert again.stderr == b""
    assert again.stdout == texts[0][0]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "numba").rglob("*.nbc")} == written


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Where compiled code cannot be kept, the process compiles for itself and says so."""
    (tmp_path / "file").write_text("")
    script = "import numpy as np; from mdnbench_bm3d import bm3d; print(bm3d(np.eye(16), 0.1, profile='lc').shape)"
    around = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file" / "numba")}
    done = subprocess.run([sys.executable, "-c", script], env=around, capture_output=True, text=True, check=True)
    assert done.stdout == "(16, 16)\n"
    assert "no folder for compiled code can be written" in done.stderr

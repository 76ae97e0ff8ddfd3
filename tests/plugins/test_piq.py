"""The metrics over piq: their published behaviour on a real photograph, and what happens without piq or its files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import torch

from mdnbench import DataFile, MetricSpec, Unavailable, api, registry
from mdnbench.data import images
from mdnbench.util import digests
from mdnbench_piq import dists, package, specs

if package.missing():
    pytest.skip("piq is in the extra 'metrics'", allow_module_level=True)

KNOWN = registry.load().metrics
NAMES = [measure.name for measure in specs.MEASURES]
SYMMETRIC = {"ms-ssim", "gmsd", "fsim", "haarpsi", "vsi"}


@pytest.fixture(scope="module")
def clean() -> Any:
    """A crop of a colour photograph (176, 192, 3)."""
    return images.read_image(Path(skimage.__file__).parent / "data" / "astronaut.png")[20:196, 150:342]


def noisy(image: Any, sigma: float, seed: int = 1) -> Any:
    """The image under Gaussian noise, clamped."""
    noise = np.random.default_rng(seed).standard_normal(image.shape)
    return np.clip(image + sigma / 255 * noise, 0, 1).astype(np.float32)


@pytest.mark.parametrize("channels", [1, pytest.param(3, marks=pytest.mark.full)])
@pytest.mark.parametrize("name", NAMES)
def test_what_every_metric_must_do(name: str, channels: int, clean: Any) -> None:
    """Perfect for equal images, worse with more noise, symmetric where it is declared, the same again."""
    spec: MetricSpec = KNOWN[name]
    score = spec.build("cpu")
    reference = clean if channels == 3 else clean[..., 1].copy()
    perfect = 1.0 if spec.direction == "higher" else 0.0
    assert score(reference, reference) == pytest.approx(perfect, abs=1e-6)
    values = [score(noisy(reference, sigma), reference) for sigma in (5, 25, 75)]
    assert values == sorted(values, reverse=spec.direction == "higher")
    assert abs(values[2] - perfect) > 20 * spec.tolerance
    there, back = score(noisy(reference, 25), reference), score(reference, noisy(reference, 25))
    assert spec.symmetric == (name in SYMMETRIC)
    assert (there == pytest.approx(back, abs=1e-9)) == spec.symmetric
    assert score(noisy(reference, 25), reference) == there


def test_ms_ssim_is_the_papers_product(clean: Any) -> None:
    """Five scales of contrast and structure with the published exponents, luminance at the coarsest alone."""
    from scipy.ndimage import gaussian_filter

    weights, (c1, c2) = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), (0.01**2, 0.03**2)
    x, y = (each[..., 1].astype(np.float64) for each in (noisy(clean, 25), clean))
    expected = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            x, y = (each[: len(each) // 2 * 2, : each.shape[1] // 2 * 2] for each in (x, y))
            x, y = (each.reshape(len(each) // 2, 2, -1, 2).mean(axis=(1, 3)) for each in (x, y))

        def mean(plane: Any) -> Any:
            return gaussian_filter(plane, 1.5, truncate=3.5)[5:-5, 5:-5]

        mx, my = mean(x), mean(y)
        vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
        structure = (2 * cov + c2) / (vx + vy + c2)
        luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        expected *= float((structure * luminance if scale == 4 else structure).mean()) ** weight
    given = KNOWN["ms-ssim"].build("cpu")(noisy(clean, 25)[..., 1].copy(), clean[..., 1].copy())
    assert given == pytest.approx(expected, abs=2e-3)


def test_gmsd_is_the_papers_deviation(clean: Any) -> None:
    """Prewitt gradients at half the size, their similarity with the published constant, its standard deviation."""
    from scipy.ndimage import convolve

    def gradient(image: Any) -> Any:
        small = image.astype(np.float64).reshape(88, 2, 96, 2).mean(axis=(1, 3))
        across = np.array([[1, 0, -1]] * 3) / 3
        return np.hypot(*(convolve(small, kernel, mode="constant") for kernel in (across, across.T)))

    x, y = gradient(noisy(clean, 25)[..., 0]), gradient(clean[..., 0])
    constant = 170 / 255**2
    expected = ((2 * x * y + constant) / (x**2 + y**2 + constant)).std()
    given = KNOWN["gmsd"].build("cpu")(noisy(clean, 25)[..., 0].copy(), clean[..., 0].copy())
    assert given == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_image_is_taken_and_a_smaller_one_is_not(name: str, clean: Any) -> None:
    """`min_size` is true: at it the metric gives a number, and where it is piq's own, below it piq refuses."""
    spec: MetricSpec = KNOWN[name]
    score, side = spec.build("cpu"), spec.min_size
    assert np.isfinite(score(noisy(clean, 25)[:side, :side], clean[:side, :side]))
    if side > specs.SIXTEEN:
        with pytest.raises(ValueError, match="at least"):
            score(noisy(clean, 25)[: side - 1, :side], clean[: side - 1, :side])


def test_they_are_in_the_table_where_they_are_named(tmp_path: Path, clean: Any) -> None:
    """A run by name has them, in their own direction; `all` does not."""
    (tmp_path / "images").mkdir()
    images.write_png(tmp_path / "images" / "crop.png", clean)
    found = api.run(
        methods=["noisy", "median"], sigma=25, dataset="images", metrics=["psnr", *NAMES, "dists"], timing=False, jobs=1
    )
    means = {row.method: row.means for row in found.means}
    assert found.exit_code == 0
    for name in NAMES:
        assert means["noisy"][name] != means["median"][name]
    assert "weights/dists" in "".join(found.run.facts.unavailable.values())
    assert set(found.run.facts.unavailable) == {"dists"}
    assert found.run.facts.metric_facts["gmsd"].direction == "lower"
    assert set(api.plan(methods="noisy", sigma=25, dataset="images").metrics) == {"psnr", "ssim", "lpips"}


def test_without_piq_they_are_skipped_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing breaks where the extra is missing: the reason says how to install it, and no score is made."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "piq" else find(name, *rest))
    for name in (*NAMES, "dists"):
        spec: MetricSpec = KNOWN[name]
        assert spec.prepare is not None
        assert "pip install 'mdnbench[metrics]'" in (spec.prepare(False) or "")
        with pytest.raises(Unavailable, match="piq package is not installed"):
            spec.build("cpu")


# -- DISTS ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_data")
def test_dists_without_its_files_says_what_to_fetch() -> None:
    """Neither is part of piq; nothing is downloaded by the way."""
    reason = specs.DISTS.prepare(False)  # type: ignore[misc]
    assert reason is not None
    assert "weights/dists/weights.pt is missing" in reason
    assert "mdnbench data fetch dists" in reason
    with pytest.raises(Unavailable, match="is missing"):
        specs.DISTS.build("cpu")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Files in the layout of the real ones, VGG-16's convolutions drawn at random, pinned by their own digests."""
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(4)
    state = {f"features.{key}": value for key, value in make_layers(cfgs["D"]).state_dict().items()}
    state["classifier.0.weight"] = torch.zeros(2, 2)
    layers = {name: torch.rand(1, sum(dists.CHANNELS), 1, 1) + 0.05 for name in ("alpha", "beta")}
    folder = tmp_path / "data" / "weights" / "dists"
    folder.mkdir(parents=True)
    for name, content in (("VGG", state), ("LAYERS", layers)):
        file = getattr(specs, name)
        torch.save(content, folder / file.name)
        monkeypatch.setattr(specs, name, DataFile(file.name, digests.of_file(folder / file.name)))
    monkeypatch.setenv("MDNBENCH_DATA_PATH", str(tmp_path / "data"))
    return {"features": state, **layers}


@pytest.mark.full
def test_dists_is_what_piq_computes_with_the_same_files(
    files: dict[str, Any], clean: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given the same tensors where it would download them, piq's own class gives the same distance."""
    import piq
    from piq import perceptual
    from torchvision.models import vgg16

    assert specs.DISTS.prepare(False) is None  # type: ignore[misc]
    score = specs.DISTS.build("cpu")
    total = files["alpha"].sum() + files["beta"].sum()
    shares = {name: files[name] / total for name in ("alpha", "beta")}
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *given, **more: shares)

    class Given:
        features = vgg16().features

    Given.features.load_state_dict(
        {key.removeprefix("features."): value for key, value in files["features"].items() if "features" in key}
    )
    monkeypatch.setattr(perceptual, "vgg16", lambda **more: Given)
    network = piq.DISTS()
    values = []
    for sigma in (0, 10, 50):
        pair = [noisy(clean, sigma), clean]
        with torch.no_grad():
            expected = float(network(*(torch.from_numpy(each.transpose(2, 0, 1).copy())[None] for each in pair)))
        values.append(score(*pair))
        assert values[-1] == pytest.approx(expected, abs=1e-5)
    assert values[0] == pytest.approx(0, abs=1e-5)
    assert values == sorted(values)
    assert score(clean[..., 0], noisy(clean, 50)[..., 0]) == pytest.approx(
        score(noisy(clean, 50)[..., 0], clean[..., 0]), abs=1e-5
    )


def test_dists_refuses_altered_files(files: dict[str, Any], tmp_path: Path) -> None:
    """A file that is not the pinned one is named, and no distance is made of it."""
    path = tmp_path / "data" / "weights" / "dists" / "weights.pt"
    path.write_bytes(path.read_bytes() + b"x")
    assert "is not the expected file" in (specs.DISTS.prepare(False) or "")  # type: ignore[misc]
    with pytest.raises(Unavailable, match="is not the expected file"):
        specs.DISTS.build("cpu")


def test_dists_files_are_pinned() -> None:
    """Full digests and fixed addresses: a commit for the one, a digest in the name for the other."""
    assert specs.VGG.sha256.startswith(specs.VGG.name.removesuffix(".pth").rpartition("-")[2])
    assert specs.LAYERS.urls[0].startswith("https://raw.githubusercontent.com/dingkeyan93/DISTS/")
    assert len(specs.LAYERS.sha256) == 64
    assert len(specs.LAYERS.urls[0].split("/")[5]) == 40

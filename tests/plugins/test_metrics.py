"""The metrics against their published definitions, and LPIPS against its published example."""

from __future__ import annotations

import functools
import hashlib
import importlib.machinery
import importlib.util
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from mdnbench import data
from mdnbench.data import images
from mdnbench.errors import DataMissing, Unavailable
from mdnbench.evaluation.adapters import to_tensor
from mdnbench.registry.torchvision_fix import import_torchvision
from mdnbench.spec.specs import Image, MetricSpec
from mdnbench.util import paths
from mdnbench.util.silenced import without_warnings
from mdnbench_datasets import mdnbench_datasets
from mdnbench_metrics import backbone, mdnbench_metrics, perceptual

SPECS = {spec.name: spec for spec in mdnbench_metrics()}
EVERY_RUN = {name: spec for name, spec in SPECS.items() if not spec.by_name}
SK12, SET12 = (next(spec for spec in mdnbench_datasets() if spec.name == name) for name in ("sk12", "set12"))
RNG = np.random.default_rng(3)


def gray() -> Image:
    """A real gray photograph, 256×256."""
    return SK12.load("01")


def colour() -> Image:
    """A colour image, 256×256×3, of three real photographs."""
    return np.stack([SK12.load(image) for image in ("01", "02", "04")], axis=-1)


def noisy(image: Image, sigma: float = 25) -> Image:
    """The image with white noise, clamped as scoring clamps it."""
    noise = np.random.default_rng(5).standard_normal(image.shape, dtype=np.float32) * (sigma / 255)
    return np.clip(image + noise, 0, 1).astype(np.float32)


def has_backbone(net: str = "alex") -> bool:
    """Whether the LPIPS backbone is on this machine."""
    return any(data.find(backbone.FOLDER, file) for file in backbone.FILES[net])


def require(net: str) -> None:
    """Skip where the LPIPS backbone is not on this machine."""
    if not has_backbone(net):
        pytest.skip(f"the {net} backbone of LPIPS is not at hand; MDNBENCH_DATA_PATH names folders that hold it")


def example(name: str) -> Image:
    """One of LPIPS's own example images; skips where they are absent."""
    for folder in paths.data_folders():
        if (folder / "lpips-example" / name).is_file():
            return images.read_image(folder / "lpips-example" / name)
    pytest.skip("the example images of LPIPS are not at hand; MDNBENCH_DATA_PATH names folders that hold them")


built = functools.cache(lambda name: SPECS[name].build("cpu"))


def score(name: str, denoised: Image, clean: Image) -> float:
    """A metric's value on the CPU."""
    if name == "lpips":
        require("alex")
    value: float = built(name)(denoised, clean)
    return value


def wang(first: Image, second: Image) -> float:
    """SSIM as Wang et al. print it, one window position at a time by convolution over the valid region."""
    axis = np.arange(-5, 6)
    window = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    x, y = first.astype(np.float64), second.astype(np.float64)

    def local(values: np.ndarray) -> np.ndarray:
        return convolve2d(values, window, mode="valid")

    mean_x, mean_y = local(x), local(y)
    var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
    covariance = local(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


def test_the_three_metrics_say_what_they_are() -> None:
    """Directions, units, digits and tolerances of the metrics that every run computes are those of the design."""
    facts = {name: (spec.direction, spec.unit, spec.digits, spec.tolerance) for name, spec in EVERY_RUN.items()}
    advice = (
        "give a further metric `by_name=True`: without it every run computes it, and all tables and baselines change"
    )
    assert facts == {
        "psnr": ("higher", "dB", 2, 0.05),
        "ssim": ("higher", "", 4, 0.002),
        "lpips": ("lower", "", 3, 0.005),
    }, advice
    assert [spec.min_size for spec in EVERY_RUN.values()] == [1, 11, 31]


def test_psnr_by_hand() -> None:
    """A constant error of a tenth is 20 dB, whatever the shape; one channel of three wrong is 10 log10(3) more."""
    clean = np.full((8, 9, 3), 0.5, dtype=np.float32)
    assert score("psnr", clean + np.float32(0.1), clean) == pytest.approx(20, abs=1e-5)
    assert score("psnr", clean[..., 0] - np.float32(0.1), clean[..., 0]) == pytest.approx(20, abs=1e-5)
    one = clean.copy()
    one[..., 1] += np.float32(0.1)
    assert score("psnr", one, clean) == pytest.approx(20 + 10 * math.log10(3), abs=1e-5)


def test_psnr_on_255_levels_is_the_same() -> None:
    """Peak 255 over 8-bit levels and peak 1 over [0, 1] agree, as published tables assume."""
    clean, other = (np.rint(image * 255) for image in (gray(), noisy(gray())))
    by_levels = 10 * math.log10(255**2 / np.mean((clean - other) ** 2))
    found = score("psnr", (other / 255).astype(np.float32), (clean / 255).astype(np.float32))
    assert found == pytest.approx(by_levels, abs=1e-5)


def test_fault_12_an_output_equal_to_the_clean_image_is_infinite() -> None:
    """PSNR is infinite without a warning, SSIM is 1 and LPIPS is 0."""
    for image in (gray(), colour()):
        assert score("psnr", image.copy(), image) == math.inf
        assert score("ssim", image.copy(), image) == pytest.approx(1, abs=1e-12)
        if has_backbone():
            assert score("lpips", image.copy(), image) == 0


@pytest.mark.parametrize("sigma", [5, 50])
def test_ssim_is_that_of_wang_et_al(sigma: float) -> None:
    """A direct implementation over the valid region agrees to a millionth, down to the smallest image."""
    for image in (SK12.load("05"), gray()[:11, :11], gray()[:40, :13]):
        other = noisy(image, sigma)
        assert score("ssim", other, image) == pytest.approx(wang(image, other), abs=1e-6)


def test_ssim_in_colour_is_the_mean_over_channels() -> None:
    """Each channel is measured by itself."""
    image, other = colour(), noisy(colour())
    expected = np.mean([wang(image[..., channel], other[..., channel]) for channel in range(3)])
    assert score("ssim", other, image) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(11, 11), (11, 100), (42, 43), (74, 75), (256, 256), (97, 43, 3)], ids=str)
def test_ssim_has_scikit_images_digits(shape: tuple[int, ...]) -> None:
    """Whatever part of the last strip is left, the value is that of scikit-image asked for the same."""
    from skimage.metrics import structural_similarity

    image = colour()[: shape[0], : shape[1]] if len(shape) == 3 else gray()[: shape[0], : shape[1]]
    other = noisy(image, 50)
    expected = structural_similarity(
        image.astype(np.float64), other.astype(np.float64), data_range=1, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, channel_axis=-1 if image.ndim == 3 else None,
    )  # fmt: skip
    assert score("ssim", other, image) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("image", [gray(), colour()], ids=["gray", "colour"])
def test_more_noise_is_worse_in_the_stated_direction(name: str, image: Image) -> None:
    """A metric that says higher falls with more noise, and one that says lower rises."""
    little, much = (score(name, noisy(image, sigma), image) for sigma in (10, 40))
    assert math.isfinite(little)
    assert (little > much) == (SPECS[name].direction == "higher")


@pytest.mark.parametrize("name", SPECS)
def test_the_smallest_image_is_measured(name: str) -> None:
    """An image of the stated smallest size, and a long thin one, give finite numbers."""
    side = SPECS[name].min_size
    for shape in ((side, side), (side, 100), (side, side, 3)):
        clean = RNG.random(shape, dtype=np.float32)
        assert math.isfinite(score(name, np.clip(clean + np.float32(0.1), 0, 1), clean))


@pytest.mark.parametrize("name", SPECS)
def test_scoring_changes_neither_image(name: str) -> None:
    """Both arrays are the same bits afterwards, and may be read-only."""
    clean, other = gray(), noisy(gray())
    before = clean.copy(), other.copy()
    for array in (clean, other):
        array.setflags(write=False)
    score(name, other, clean)
    assert np.array_equal(clean, before[0])
    assert np.array_equal(other, before[1])


@pytest.mark.parametrize(
    ("net", "first", "second"), [("alex", 0.722, 0.138), ("squeeze", 0.711, 0.148)], ids=["alex", "squeeze"]
)
def test_lpips_gives_its_published_distances(net: str, first: float, second: float) -> None:
    """The example of LPIPS's own repository, to the digits that it prints."""
    require(net)
    distance = perceptual.lpips_score(net)
    reference = example("ex_ref.png")
    assert distance(example("ex_p0.png"), reference) == pytest.approx(first, abs=0.001)
    assert distance(example("ex_p1.png"), reference) == pytest.approx(second, abs=0.001)


@functools.cache
def package_network(net: str) -> Any:
    """The network of the lpips package itself, with the layers that this machine has."""
    with without_warnings(), torch.random.fork_rng(devices=[]):  # deprecated names in torchvision
        import_torchvision()
        import lpips

        network = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False)
    tensors = perceptual.layers(net)
    names = {name: "features." + name.partition(".")[2] for name in network.net.state_dict()}
    network.net.load_state_dict({name: tensors[source] for name, source in names.items()})
    return network


def lpips_images() -> Iterator[Image]:
    """Photographs and random pixels, gray and in colour, whole and with odd sides, down to the smallest."""
    yield from (gray(), colour()[:120, :97], SK12.load("05")[:97, :131], gray()[:31, :31])
    yield from (RNG.random(shape, dtype=np.float32) for shape in ((45, 33), (64, 47, 3)))
    if data.at_hand(SET12):
        yield SET12.load("01")


@pytest.mark.parametrize("stretched", [True, False], ids=["stretched", "unstretched"])
@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_lpips_is_the_packages_own_distance(net: str, stretched: bool) -> None:
    """Our network has the package's numbers."""
    require(net)
    network, distance = package_network(net), perceptual.lpips_score(net, stretched=stretched)
    for image in lpips_images():
        other = noisy(image)
        pair = [to_tensor(each).expand(1, 3, -1, -1) for each in (other, image)]
        with torch.no_grad():
            expected = float(network(*pair, normalize=stretched))
        assert expected > 1e-3
        for _ in range(2):  # the second time with the remembered features
            assert distance(other, image) == pytest.approx(expected, abs=1e-6)


def test_lpips_imports_neither_its_package_nor_torchvision() -> None:
    """A process that scores with every metric and setting has imported neither of them."""
    require("alex")
    names = ["psnr", "ssim", "lpips", "lpips[unstretched]", *(["lpips[squeeze]"] if has_backbone("squeeze") else [])]
    code = f"""
import sys
import numpy as np
from mdnbench import registry
from mdnbench.evaluation import scoring
from mdnbench.evaluation.protocols import load
known = registry.load()
specs = {{name: known.metric(name) for name in {names!r}}}
clean = known.datasets["sk12"].load("01")
scorers = {{name: spec.build("cpu") for name, spec in specs.items()}}
scores = scoring.score(0.9 * clean, clean, load("standard").scoring, specs, scorers)
print([each.status for each in scores], sorted({{"torchvision", "lpips"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{['ok'] * len(names)} []"


def test_lpips_repeats_to_the_last_digit_on_one_thread() -> None:
    """A freshly built metric gives the same number, and building it leaves torch's random numbers alone."""
    require("alex")
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(1)
    try:
        clean, other = SK12.load("05"), noisy(SK12.load("05"))
        first, second = (SPECS["lpips"].build("cpu")(other, clean) for _ in range(2))
    finally:
        torch.set_num_threads(threads)
    assert first == second
    assert torch.equal(torch.random.get_rng_state(), state)


def test_lpips_forgets_what_was_seen_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """The features that are kept stay within their budget, and the last image is always among them."""
    require("alex")
    monkeypatch.setattr(perceptual, "REMEMBERED_BYTES", 5_000)
    calls = []

    def compute(image: Image) -> list[torch.Tensor]:
        calls.append(image[0, 0])
        return [torch.zeros(500)]  # 2,000 bytes

    remembered = perceptual._FeatureCache(compute)
    first, second, third = (np.full((2, 2), value, dtype=np.float32) for value in (0, 1, 2))
    for image in (first, second, first, third, first, second):
        remembered(image)
    assert calls == [0, 1, 2, 1]


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without data: an empty home, no data path, no network."""
    monkeypatch.setenv("MDNBENCH_HOME", str(tmp_path))
    monkeypatch.delenv("MDNBENCH_DATA_PATH", raising=False)
    monkeypatch.setenv("MDNBENCH_OFFLINE", "1")
    return tmp_path


def lpips_spec() -> MetricSpec:
    """The spec of LPIPS."""
    return SPECS["lpips"]


@pytest.mark.parametrize("download", [False, True])
def test_fault_19_lpips_without_its_backbone_says_how_to_get_it(nowhere: Path, download: bool) -> None:
    """One line names the command and the files that would do; building raises Unavailable with it."""
    reason = lpips_spec().prepare(download)  # type: ignore[misc]
    assert reason is not None
    assert "\n" not in reason
    for part in ("mdnbench data fetch lpips", "alexnet_features.pth", "alexnet-owt-7be5be79.pth", "weights/lpips"):
        assert part in reason
    with pytest.raises(Unavailable, match="mdnbench data fetch lpips"):
        lpips_spec().build("cpu")
    assert list(nowhere.iterdir()) == []


def test_lpips_is_ready_with_the_backbone_at_hand() -> None:
    """With a verified file there is no reason against it."""
    require("alex")
    assert lpips_spec().prepare(False) is None  # type: ignore[misc]


def test_fault_17_a_backbone_with_one_bit_flipped_is_refused(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is compared before torch opens the file."""
    monkeypatch.undo()
    require("alex")
    whole = next(filter(None, (data.find(backbone.FOLDER, file) for file in backbone.FILES["alex"])))
    place = nowhere / "weights" / "lpips" / whole.name
    place.parent.mkdir(parents=True)
    shutil.copyfile(whole, place)
    monkeypatch.setenv("MDNBENCH_DATA_PATH", str(nowhere))
    assert lpips_spec().prepare(False) is None  # type: ignore[misc]
    with place.open("r+b") as file:
        file.seek(4_000_000)
        byte = file.read(1)[0]
        file.seek(4_000_000)
        file.write(bytes([byte ^ 1]))
    assert "not the expected file" in str(lpips_spec().prepare(False))  # type: ignore[misc]
    with pytest.raises(Unavailable, match="not the expected file"):
        lpips_spec().build("cpu")


def test_fault_21_a_backbone_that_runs_code_is_never_opened(nowhere: Path) -> None:
    """A pickle in the backbone's place is refused by its digest; its code does not run."""
    place = nowhere / "weights" / "lpips" / "alexnet_features.pth"
    place.parent.mkdir(parents=True)
    mark = nowhere / "ran"
    place.write_bytes(b"cposix\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR.")
    with pytest.raises(DataMissing, match=hashlib.sha256(place.read_bytes()).hexdigest()):
        perceptual.layers("alex")
    assert not mark.exists()


def test_lpips_without_its_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heads are part of the package: without it the reason has the command, and building raises Unavailable."""
    require("alex")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "lpips" else find(name, *rest))
    assert "install the package with: pip install" in str(lpips_spec().prepare(False))  # type: ignore[misc]
    with pytest.raises(Unavailable, match="the lpips package is missing"):
        lpips_spec().build("cpu")


def test_heads_that_are_missing_or_altered_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of the package that is not the published one is named, and no distance is made of it."""
    require("alex")
    path = tmp_path / "lpips" / "weights" / "v0.1" / "alex.pth"
    path.parent.mkdir(parents=True)
    content = backbone.find_heads("alex").read_bytes()
    package = importlib.machinery.ModuleSpec("lpips", None, is_package=True)
    package.submodule_search_locations = [str(tmp_path / "lpips")]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: package)
    for change, problem in ((None, "cannot be read"), (b"x", "is not the expected file")):
        if change is not None:
            path.write_bytes(content + change)
        assert problem in str(lpips_spec().prepare(False))  # type: ignore[misc]
        with pytest.raises(Unavailable, match=rf"alex\.pth {problem}"):
            lpips_spec().build("cpu")
    path.write_bytes(content)
    assert lpips_spec().prepare(False) is None  # type: ignore[misc]


def test_torchvisions_own_names_are_its_digests() -> None:
    """The pinned digests begin with the digits that torchvision puts into its file names."""
    for small, large in backbone.FILES.values():
        assert large.sha256.startswith(large.name.removesuffix(".pth").rpartition("-")[2])
        assert large.urls[0].endswith("/" + large.name)
        assert not small.urls


def test_the_hook_is_light() -> None:
    """Listing the metrics imports none of torch, lpips, scikit-image or NumPy."""
    code = """
import sys
from mdnbench_metrics import mdnbench_metrics
[spec.prepare(False) for spec in mdnbench_metrics() if spec.prepare]
print(sorted({"torch", "torchvision", "lpips", "skimage", "scipy", "numpy", "pooch"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

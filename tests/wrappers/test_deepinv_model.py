"""A method from a denoiser of deepinv: the library's own classes, with and without weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mdnbench import NoiseInfo, Option, api, wrap_deepinv
from mdnbench.data import images
from mdnbench.errors import BadOption, Unavailable, UnknownName
from mdnbench.registry.torchvision_fix import import_torchvision

ITERATIONS = Option("n_it_max", int, 100, "iterations", minimum=1, maximum=1000)


def psnr(image: Any, clean: Any) -> float:
    """In dB, of tensors in [0, 1]."""
    return float(-10 * torch.log10(((image - clean) ** 2).mean()))


@pytest.fixture(scope="module")
def models() -> Any:
    """Deepinv's own module of denoisers."""
    import_torchvision()
    return pytest.importorskip("deepinv", reason="deepinv is in the extra 'deepinv'").models


def test_without_the_extra_it_says_what_to_install(built: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A method of deepinv is listed where deepinv is not installed; its cells say how to get it."""
    monkeypatch.setitem(__import__("sys").modules, "deepinv", None)
    with pytest.raises(Unavailable, match=r"pip install 'mdnbench\[deepinv\]'"):
        built(wrap_deepinv("tv", "TVDenoiser"))


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "scale", "gain"), [("TVDenoiser", 0.9, 4), ("TGVDenoiser", 0.9, 1), ("MedianFilter", 1.0, 2)]
)
def test_classes_without_weights_denoise(
    models: Any, noisy: Any, clean: Any, told: NoiseInfo, built: Callable[..., Any], name: str, scale: float,
    gain: float,
) -> None:  # fmt: skip
    """They get the level times its scale, give what the class itself gives, and help."""
    result = built(wrap_deepinv("mine", name, level_scale=scale))(noisy, told)
    assert torch.equal(result, getattr(models, name)()(noisy, scale * told.std))
    assert psnr(result, clean) > psnr(noisy, clean) + gain


@pytest.mark.full
def test_an_iterative_denoiser_begins_anew_with_each_image(
    models: Any, noisy: Any, told: NoiseInfo, built: Callable[..., Any]
) -> None:
    """The library's own begin where the last image ended; here an output does not depend on what came before it."""
    denoise = built(wrap_deepinv("mine", "TVDenoiser", options=(ITERATIONS,)), n_it_max=20)
    first = denoise(noisy, told)
    denoise(1 - noisy, told)
    assert torch.equal(denoise(noisy, told), first)
    bare = models.TVDenoiser(n_it_max=20)
    bare(1 - noisy, told.std)
    assert not torch.equal(bare(noisy, told.std), first)


@pytest.mark.full
@pytest.mark.parametrize("name", ["DRUNet", "DnCNN"])
def test_a_trained_class_takes_a_file_of_weights(
    models: Any, tmp_path: Path, noisy: Any, told: NoiseInfo, built: Callable[..., Any], name: str
) -> None:
    """Nothing is downloaded: the weights are those of the file, and the output that of the class with them."""
    torch.manual_seed(5)
    size = {
        "in_channels": 1,
        "out_channels": 1,
        **({"nc": (8, 8, 8, 8), "nb": 1} if name == "DRUNet" else {"depth": 5}),
    }
    network = getattr(models, name)(**size, pretrained=None).eval()
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    result = built(wrap_deepinv("mine", name, path, arguments=size))(noisy, told)
    assert torch.equal(result, torch.no_grad()(network)(noisy, told.std))


@pytest.mark.full
def test_a_trained_class_without_a_file_is_refused(models: Any, built: Callable[..., Any]) -> None:
    """The library would download weights that nothing pins, or leave the network untrained; here neither happens."""
    with pytest.raises(BadOption, match="weights=FILE"):
        built(wrap_deepinv("mine", "DRUNet"))
    with pytest.raises(UnknownName, match="Did you mean 'DRUNet'"):
        built(wrap_deepinv("mine", "DRUnet"))


@pytest.mark.full
def test_a_function_may_make_the_denoiser(
    models: Any, noisy: Any, colour: Any, told: NoiseInfo, built: Callable[..., Any]
) -> None:
    """Any denoiser, not only named ones; here one around another, channel by channel."""

    def make(shift: float) -> Any:
        return models.EquivariantDenoiser(models.MedianFilter(kernel_size=5))

    spec = wrap_deepinv("mine", make, arguments={"shift": 0.0}, by_channel=True)
    assert spec.channels == (1, 3)
    assert built(spec)(colour, told).shape == colour.shape
    assert spec.packages == ("deepinv", "torch")


@pytest.mark.full
def test_a_plugin_file_with_a_deepinv_denoiser_runs(
    models: Any, tmp_path: Path, plugin: Callable[..., Path], clean: Any
) -> None:
    """A worker builds it and computes on one thread."""
    text = """
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.wrap_deepinv("dinv-tv", "TVDenoiser", level_scale=0.9, licence="BSD-3-Clause")]
    """
    (tmp_path / "images").mkdir()
    images.write_png(tmp_path / "images" / "crop.png", clean[0, 0].numpy())
    found = api.run(
        methods=["noisy", "dinv-tv"], sigma=50, dataset="images", metrics="psnr", timing=False, jobs=1,
        plugins=[str(plugin(text))],
    )  # fmt: skip
    means = {row.method: row.means["psnr"] for row in found.means}
    assert found.exit_code == 0
    assert means["dinv-tv"] > means["noisy"] + 5

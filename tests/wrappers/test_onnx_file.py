"""A method from an ONNX file: real networks, exported here, give what they give in PyTorch."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mdnbench import NoiseInfo, api, wrap_onnx
from mdnbench.data import images
from mdnbench.errors import BadFile, Unavailable
from mdnbench.wrappers import files

pytest.importorskip("onnxruntime", reason="onnxruntime is in the extra 'deploy'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript, which is in the extra 'test'")


class Levelled(nn.Module):
    """A small network that is told the noise level: a blur that grows with it. The weights are fixed."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = nn.Conv2d(1, 1, 5, padding=2, bias=False)
        nn.init.constant_(self.blur.weight, 1 / 25)

    def forward(self, image: Any, std: Any) -> Any:
        """(1, 1, H, W) and (1, 1, 1, 1) to (1, 1, H, W)."""
        amount = torch.clamp(5 * std, 0, 1)
        return amount * self.blur(image) + (1 - amount) * image


def export(module: Any, arguments: tuple[Any, ...], path: Path, *, fixed: bool = False, inside: bool = False) -> Path:
    """Write a module as ONNX, for images of any size or only that of the example, weights beside it or inside."""
    sizes = {2: torch.export.Dim("height", min=2), 3: torch.export.Dim("width", min=2)}
    shapes = None if fixed else (sizes, *([None] * (len(arguments) - 1)))
    with warnings.catch_warnings(action="ignore"):  # of what torch's exporter uses inside
        torch.onnx.export(
            module.eval(), arguments, path, dynamic_shapes=shapes, dynamo=True, verbose=False,
            external_data=not inside,
        )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the exported files."""
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def dncnn_onnx(folder: Path, dncnn: Any, shipped_file: Path) -> Path:
    """The shipped DnCNN as ONNX, its weights in a file beside it, as torch writes them by default."""
    from mdnbench.weights import tensors_in

    module = dncnn()
    module.load_state_dict({key: tensor.float() for key, tensor in tensors_in(shipped_file).items()})
    return export(module, (torch.rand(1, 1, 40, 48),), folder / "dncnn.onnx")


@pytest.fixture(scope="module")
def levelled_onnx(folder: Path) -> Path:
    """The network with a level as ONNX, everything in one file."""
    return export(Levelled(), (torch.rand(1, 1, 40, 48), torch.full((1, 1, 1, 1), 0.1)), folder / "l.onnx", inside=True)


def test_a_real_network_gives_what_it_gives_in_torch(
    noisy: Any, told: NoiseInfo, shipped: Any, dncnn_onnx: Path, built: Callable[..., Any]
) -> None:
    """DnCNN with its trained weights, on an image of another size than the export saw, whole and in tiles."""
    whole = built(wrap_onnx("mine", dncnn_onnx))(noisy, told)
    tiled = built(wrap_onnx("mine", dncnn_onnx, tile=64, overlap=35))(noisy, told)
    assert whole.dtype == torch.float32
    assert float((whole - shipped(noisy)).abs().max()) < 1e-4
    assert float((tiled - whole).abs().max()) < 1e-4


def test_a_level_is_the_second_input(noisy: Any, levelled_onnx: Path, built: Callable[..., Any]) -> None:
    """As many axes as the file wants; another level gives another image."""
    spec = wrap_onnx("mine", levelled_onnx, noise_level="scalar")
    assert (spec.wants, spec.packages) == ("std", ("onnxruntime",))
    for std in (0.02, 0.1):
        expected = Levelled().eval()(noisy, torch.full((1, 1, 1, 1), std))
        result = built(spec)(noisy, NoiseInfo(std=std, source="known"))
        assert float((result - expected).detach().abs().max()) < 1e-5


def test_a_residual_file_predicts_the_noise(
    noisy: Any, told: NoiseInfo, levelled_onnx: Path, built: Callable[..., Any]
) -> None:
    """What comes out is taken from what went in."""
    direct = built(wrap_onnx("mine", levelled_onnx, noise_level="scalar"))(noisy, told)
    rest = built(wrap_onnx("mine", levelled_onnx, noise_level="scalar", residual=True))(noisy, told)
    assert torch.allclose(direct + rest, noisy, atol=1e-6)


def test_a_file_for_one_size_takes_any_image(
    folder: Path, noisy: Any, told: NoiseInfo, built: Callable[..., Any]
) -> None:
    """It is used in tiles of its own size, and smaller images are padded up to it."""
    path = export(Levelled(), (torch.rand(1, 1, 48, 48), torch.full((1, 1, 1, 1), 0.1)), folder / "48.onnx", fixed=True)
    denoise = built(wrap_onnx("mine", path, noise_level="scalar", overlap=4))
    expected = Levelled().eval()(noisy, torch.full((1, 1, 1, 1), told.std)).detach()
    assert float((denoise(noisy, told) - expected).abs().max()) < 1e-5
    small = denoise(noisy[..., :30, :17], told)
    assert small.shape == (1, 1, 30, 17)
    assert float((small - expected[..., :30, :17])[..., :28, :15].abs().max()) < 1e-5


def test_weights_beside_the_file_are_in_the_revision(dncnn_onnx: Path, levelled_onnx: Path, tmp_path: Path) -> None:
    """Torch keeps tensors in a second file: another one there is another revision, and a missing one is a reason."""
    assert files.external_files(dncnn_onnx) == ["dncnn.onnx.data"]
    assert files.external_files(levelled_onnx) == []
    copy, beside = tmp_path / "copy.onnx", tmp_path / "dncnn.onnx.data"
    copy.write_bytes(dncnn_onnx.read_bytes())
    missing = wrap_onnx("mine", copy).revision
    content = bytearray((dncnn_onnx.parent / beside.name).read_bytes())
    beside.write_bytes(content)
    whole = wrap_onnx("mine", copy).revision
    assert whole == wrap_onnx("mine", dncnn_onnx).revision != missing
    content[1000] ^= 1
    beside.write_bytes(content)
    assert wrap_onnx("mine", copy).revision not in (whole, missing)


def test_missing_and_damaged_files(tmp_path: Path, dncnn_onnx: Path, built: Callable[..., Any]) -> None:
    """A file that is not there is skipped with its place; one that is no ONNX, or lacks its tensors, is refused."""
    with pytest.raises(Unavailable, match=r"put it at .*none\.onnx"):
        built(wrap_onnx("mine", tmp_path / "none.onnx"))
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no protobuf at all")
    with pytest.raises(BadFile, match=r"damaged\.onnx cannot be read"):
        built(wrap_onnx("mine", damaged))
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(dncnn_onnx.read_bytes())
    with pytest.raises(BadFile, match=r"alone\.onnx cannot be read"):
        built(wrap_onnx("mine", alone))


def test_a_file_with_other_inputs_is_refused(dncnn_onnx: Path, levelled_onnx: Path, built: Callable[..., Any]) -> None:
    """A level that the file has no input for, and one that it wants and is not given, are named."""
    with pytest.raises(BadFile, match="has 1 inputs"):
        built(wrap_onnx("mine", dncnn_onnx, noise_level="scalar"))
    with pytest.raises(BadFile, match=r"has 2 inputs \(image, std\)"):
        built(wrap_onnx("mine", levelled_onnx))


def test_a_gpu_that_onnxruntime_cannot_use_is_said(dncnn_onnx: Path, built: Callable[..., Any]) -> None:
    """On a GPU the method does not fall back to the CPU without a word."""
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime can use a GPU")
    with pytest.raises(Unavailable, match="onnxruntime-gpu"):
        built(wrap_onnx("mine", dncnn_onnx), device="cuda")


def test_without_the_extra_it_says_what_to_install(
    dncnn_onnx: Path, built: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method from an ONNX file is listed without onnxruntime; its cells say how to get it."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # importing it fails
    with pytest.raises(Unavailable, match=r"pip install 'mdnbench\[deploy\]'"):
        built(wrap_onnx("mine", dncnn_onnx))


def test_a_plugin_file_with_an_onnx_file_runs(
    tmp_path: Path, plugin: Callable[..., Path], levelled_onnx: Path, clean: Any
) -> None:
    """A worker rebuilds it; under the noise that it is told of, it beats the noise."""
    text = f"""
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.wrap_onnx("mine", {str(levelled_onnx)!r}, noise_level="scalar")]
    """
    (tmp_path / "images").mkdir()
    images.write_png(tmp_path / "images" / "crop.png", clean[0, 0].numpy())
    found = api.run(
        methods=["noisy", "mine"], sigma=50, dataset="images", metrics="psnr", timing=False, jobs=1,
        plugins=[str(plugin(text))],
    )  # fmt: skip
    means = {row.method: row.means["psnr"] for row in found.means}
    assert found.exit_code == 0
    assert means["mine"] > means["noisy"] + 3

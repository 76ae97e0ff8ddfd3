"""ONNX files of a shipped network: true to it, in eight bits too, and never anything but what was written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from mdnbench import NoiseInfo, registry
from mdnbench.errors import MdnbenchError
from mdnbench.evaluation.adapters import to_tensor
from mdnbench.registry import Registry
from mdnbench.training.deploy import building, export, loaded_network, models
from mdnbench.util import paths
from mdnbench.weights import Weights
from mdnbench.wrappers.onnx_session import Session

Built = Callable[..., Any]
HALVES = "self.layer(noisy) + F.interpolate(F.avg_pool2d(noisy, 2), scale_factor=2)"  # so its sides have to be even


def test_the_file_gives_what_torch_gives_at_any_size(known: Registry, found: Weights) -> None:
    """One image or three, larger and smaller than the network's multiple, down to a single pixel."""
    spec = known.denoisers["unet"]
    path = models.path_of(spec, found, "fp32")
    session, module = Session(path, "cpu"), loaded_network.filled(spec, found)
    for height, width, batch in ((37, 53, 1), (61, 38, 3), (16, 16, 1), (5, 97, 2), (1, 1, 1)):
        noisy, std = loaded_network.example(found, height, width, batch)
        with torch.inference_mode():
            expected = module(noisy, std)
        given = session.run(export.feeds(session, noisy, std))
        assert given.shape == (batch, 1, height, width)
        assert float(np.abs(given - expected.numpy()).max()) < 1e-5
    assert export.difference(module, found, path) < 1e-5
    said = {each.key: each.value for each in onnx.load(path).metadata_props}
    assert (said["method"], said["weights_sha256"], said["licence"]) == ("unet", found.sha256, "MIT")
    assert onnx.load(path).opset_import[0].version == int(said["opset"])


def test_eight_bits_cost_little_and_are_eight_bits(
    known: Registry, found: Weights, noisy: torch.Tensor, told: NoiseInfo, built: Built,
    psnr: Callable[[torch.Tensor], float],
) -> None:  # fmt: skip
    """On a real image within 0.3 dB of full precision; kernels are whole numbers with a scale for each channel."""
    whole = psnr(built("unet[weights=own]")(noisy, told))
    small = psnr(built("unet[weights=own,precision=int8]")(noisy, told))
    assert whole > psnr(noisy) + 10
    assert whole - 0.3 < small != whole
    files = [models.path_of(known.denoisers["unet"], found, precision) for precision in ("fp32", "int8")]
    assert files[1].stat().st_size < 0.3 * files[0].stat().st_size
    model = onnx.load(files[1])
    tensors = {each.name: each for each in model.graph.initializer}
    kernels = [each for each in tensors.values() if len(each.dims) == 4]
    assert len(kernels) > 30
    assert {each.data_type for each in kernels} == {onnx.TensorProto.INT8}
    scales = [each.input[1] for each in model.graph.node if each.op_type == "DequantizeLinear" and len(each.input) > 1]
    per_channel = [name for name in scales if tuple(tensors[name].dims) == (48,)]
    assert per_channel


def test_an_altered_file_is_made_again(known: Registry, found: Weights) -> None:
    """One bit, or a digest that is gone: the file is not used but made anew, and is the same as before."""
    spec = known.denoisers["unet"]
    path = models.path_of(spec, found, "int8")
    sound = path.read_bytes()
    assert models.at_hand(spec, found, "int8")
    altered = bytearray(sound)
    altered[len(sound) // 2] ^= 1
    path.write_bytes(altered)
    assert not models.at_hand(spec, found, "int8")
    assert models.obtain(known, spec, found, "int8") == path
    assert path.read_bytes() == sound
    assert models.at_hand(spec, found, "int8")
    path.with_suffix(".sha256").write_bytes(b"\xff")
    assert not models.at_hand(spec, found, "int8")
    assert [each.suffix for each in path.parent.iterdir() if each.suffix == ".part"] == []


def test_each_revision_set_of_weights_and_precision_has_a_file_of_its_own(
    home: Path, known: Registry, found: Weights
) -> None:
    """Two precisions, the same tensors under another digest, and the method's next revision never share one."""
    spec = known.denoisers["unet"]
    specs = (spec, dataclasses.replace(spec, revision="next"))
    other = dataclasses.replace(found, sha256="0" * 64)
    paths = {
        models.path_of(each, chosen, precision)
        for each in specs
        for chosen in (found, other)
        for precision in ("fp32", "int8")
    }
    assert len(paths) == 8
    assert {path.parent for path in paths} == {home / "deploy"}


def test_a_network_whose_code_was_edited_has_another_file(convolution: Callable[..., Any]) -> None:
    """With the same weights as before, ONNX Runtime computes what torch does: the new code."""
    noisy, files = torch.rand(1, 1, 21, 34), set()
    for forward in ("self.layer(noisy)", "noisy - self.layer(noisy)"):
        plugin, made = convolution(forward)
        edited = registry.load([plugin])
        spec, named = edited.denoisers["convolution"], edited.method("convolution[backend=onnxruntime]")
        whole = spec.build({}, "cpu", made)(noisy, NoiseInfo())
        onnx_made = building.build(edited, spec, named, "cpu", made)(noisy, NoiseInfo())
        assert float((whole - onnx_made).abs().max()) < 1e-5
        files.add(building.file_of(spec, named, made))
    assert len(files) == 2


def test_a_network_that_takes_no_odd_sizes_is_refused(convolution: Callable[..., Any]) -> None:
    """The message says which size was tried, and what came of it."""
    plugin, made = convolution(HALVES)
    known = registry.load([plugin])
    words = "network of convolution and its ONNX file were tried on an image of 53x37 pixels, .*RuntimeError: The size"
    with pytest.raises(MdnbenchError, match=words):
        models.obtain(known, known.denoisers["convolution"], made, "fp32")
    assert not list((paths.home() / "deploy").glob("*.onnx"))


@pytest.mark.full
def test_an_error_of_the_training_data_is_named(known: Registry, own: Callable[[str], Weights]) -> None:
    """What a plugin's data set raises while a network is calibrated becomes an error of ours."""

    def load(name: str) -> Any:
        raise ValueError(f"{name} is upside down")

    found, edited = own("dncnn"), registry.load([])
    entry = known.datasets.entry("own")
    edited.datasets._entries["own"] = dataclasses.replace(entry, spec=dataclasses.replace(entry.spec, load=load))
    with pytest.raises(MdnbenchError, match=r"of dncnn cannot be written in eight bits: ValueError: .* is upside down"):
        models.obtain(edited, edited.denoisers["dncnn"], found, "int8")


@pytest.mark.full
@pytest.mark.parametrize("method", ["dncnn", "masked-unet"])
def test_every_shipped_network_can_be_written_and_quantised(
    own: Callable[[str], Weights], method: str, noisy: torch.Tensor, told: NoiseInfo, built: Built,
    psnr: Callable[[torch.Tensor], float], clean: Any, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """ONNX equals torch to rounding, and eight bits stay within 0.3 dB, at little noise too; nothing is printed."""
    own(method)
    whole = built(f"{method}[weights=own]")(noisy, told)
    onnx_made = built(f"{method}[weights=own,backend=onnxruntime]")(noisy, told)
    assert float((whole - onnx_made).abs().max()) < 1e-5
    assert psnr(built(f"{method}[weights=own,precision=int8]")(noisy, told)) > psnr(whole) - 0.3
    assert capsys.readouterr().out == ""
    little = to_tensor(clean + 15 / 255 * np.random.default_rng(2).standard_normal(clean.shape).astype(np.float32))
    told = NoiseInfo(std=15 / 255, source="known")
    whole, small = (built(f"{method}[weights=own{more}]")(little, told) for more in ("", ",precision=int8"))
    assert psnr(small) > psnr(whole) - 0.3

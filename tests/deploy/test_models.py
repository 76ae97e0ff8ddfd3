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

from mdnbench import NoiseInfo
from mdnbench.deploy import export, models, networks
from mdnbench.registry import Registry
from mdnbench.weights import Weights
from mdnbench.wrappers.onnx_session import Session

Built = Callable[..., Any]


def test_the_file_gives_what_torch_gives_at_any_size(known: Registry, found: Weights) -> None:
    """One image or three, larger and smaller than the network's multiple, down to a single pixel."""
    path = models.path_of(found, "fp32")
    session, module = Session(path, "cpu"), networks.filled(known.denoisers["unet"], found)
    for height, width, batch in ((37, 53, 1), (61, 38, 3), (16, 16, 1), (5, 97, 2), (1, 1, 1)):
        noisy, std = networks.example(found, height, width, batch)
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
    found: Weights, noisy: torch.Tensor, told: NoiseInfo, built: Built, psnr: Callable[[torch.Tensor], float]
) -> None:
    """On a real image within 0.3 dB of full precision; kernels are whole numbers with a scale for each channel."""
    whole = psnr(built("unet[weights=own]")(noisy, told))
    small = psnr(built("unet[weights=own,precision=int8]")(noisy, told))
    assert whole > psnr(noisy) + 10
    assert whole - 0.3 < small != whole
    sizes = [models.path_of(found, precision).stat().st_size for precision in ("fp32", "int8")]
    assert sizes[1] < 0.3 * sizes[0]
    model = onnx.load(models.path_of(found, "int8"))
    tensors = {each.name: each for each in model.graph.initializer}
    kernels = [each for each in tensors.values() if len(each.dims) == 4]
    assert len(kernels) > 30
    assert {each.data_type for each in kernels} == {onnx.TensorProto.INT8}
    scales = [each.input[1] for each in model.graph.node if each.op_type == "DequantizeLinear" and len(each.input) > 1]
    per_channel = [name for name in scales if tuple(tensors[name].dims) == (48,)]
    assert per_channel


def test_an_altered_file_is_made_again(known: Registry, found: Weights) -> None:
    """One bit, or a digest that is gone: the file is not used but made anew, and is the same as before."""
    path, spec = models.path_of(found, "int8"), known.denoisers["unet"]
    sound = path.read_bytes()
    assert models.at_hand(found, "int8")
    altered = bytearray(sound)
    altered[len(sound) // 2] ^= 1
    path.write_bytes(altered)
    assert not models.at_hand(found, "int8")
    assert models.obtain(known, spec, found, "int8") == path
    assert path.read_bytes() == sound
    assert models.at_hand(found, "int8")
    path.with_suffix(".sha256").write_bytes(b"\xff")
    assert not models.at_hand(found, "int8")
    assert [each.suffix for each in path.parent.iterdir() if each.suffix == ".part"] == []


def test_each_set_of_weights_and_precision_has_a_file_of_its_own(home: Path, found: Weights) -> None:
    """Two precisions, and the same tensors under another digest, never share one."""
    other = dataclasses.replace(found, sha256="0" * 64)
    paths = {models.path_of(each, precision) for each in (found, other) for precision in ("fp32", "int8")}
    assert len(paths) == 4
    assert {path.parent for path in paths} == {home / "deploy"}


@pytest.mark.full
@pytest.mark.parametrize("method", ["dncnn", "masked-unet"])
def test_every_shipped_network_can_be_written_and_quantised(
    own: Callable[[str], Weights], method: str, noisy: torch.Tensor, told: NoiseInfo, built: Built,
    psnr: Callable[[torch.Tensor], float],
) -> None:  # fmt: skip
    """ONNX equals torch to rounding, and eight bits stay within 0.3 dB."""
    own(method)
    whole = built(f"{method}[weights=own]")(noisy, told)
    onnx_made = built(f"{method}[weights=own,backend=onnxruntime]")(noisy, told)
    assert float((whole - onnx_made).abs().max()) < 1e-5
    assert psnr(built(f"{method}[weights=own,precision=int8]")(noisy, told)) > psnr(whole) - 0.3

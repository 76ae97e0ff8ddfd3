"""Files of one's own: the command's words, and the way back into the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from mdnbench import NoiseInfo, api, wrap_onnx
from mdnbench.errors import BadOption, UsageError
from mdnbench.weights import Weights


def test_the_command_writes_a_checked_file(home: Path, cli: Callable[..., Any], found: Weights) -> None:
    """It says what the file takes and how far it is from torch; the file passes ONNX's own checker."""
    done = cli("export", "unet[weights=own]", "--to", "onnx", "--out", "u.onnx", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["path"], said["weights_sha256"]) == ("u.onnx", found.sha256)
    assert 0 < said["largest_difference"] < 1e-5
    model = onnx.load("u.onnx")
    onnx.checker.check_model(model, full_check=True)
    inputs = {each.name: [axis.dim_param or axis.dim_value for axis in each.type.tensor_type.shape.dim]
              for each in model.graph.input}  # fmt: skip
    assert inputs == {"noisy": ["batch", 1, "height", "width"], "std": [1, 1, 1, 1]}
    assert [each.name for each in model.graph.output] == ["denoised"]


def test_the_file_is_a_method_in_the_table_with_equal_numbers(
    home: Path, found: Weights, noisy: torch.Tensor, told: NoiseInfo, built: Callable[..., Any]
) -> None:
    """Through the wrapper for ONNX files it gives what the variant gives, in gray and in colour."""
    made = api.export_model("unet[weights=own]", Path("unet.onnx"))
    assert made.path.stat().st_size == made.bytes
    spec = wrap_onnx("mine", made.path, noise_level="scalar", by_channel=True)
    mine, variant = spec.build({}, "cpu", None), built("unet[weights=own,backend=onnxruntime]")
    assert torch.equal(mine(noisy, told), variant(noisy, told))
    colour = torch.cat([noisy, noisy.flip(-1), noisy.flip(-2)], dim=1)
    assert float((mine(colour, told) - variant(colour, told)).abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("method", "error", "words"),
    [
        ("median", UsageError, "median is not a learned method"),
        ("unet[precision=bf16]", BadOption, r"in fp32 or int8 .* pruned or not"),
        ("unet[compile=true]", BadOption, "what computes it is chosen where it is used"),
        ("unet[keep=0.5]", UsageError, r"has no weights yet: `mdnbench train 'unet\[keep=0.5\]'` makes some"),
    ],
)
def test_what_cannot_be_written_is_refused(method: str, error: type[Exception], words: str) -> None:
    """Methods without a network, variants that are no files, and what is not pruned yet."""
    with pytest.raises(error, match=words):
        api.export_model(method, Path("never.onnx"))
    assert not Path("never.onnx").exists()


def test_another_format_and_a_place_that_cannot_be_written(home: Path) -> None:
    """The message says which formats there are, and where the file could not go."""
    with pytest.raises(BadOption, match="--to tflite is not allowed; it takes onnx"):
        api.export_model("unet[weights=own]", to="tflite")
    with pytest.raises(UsageError, match="cannot be written: No such file or directory"):
        api.export_model("unet[weights=own]", Path("nowhere/unet.onnx"))

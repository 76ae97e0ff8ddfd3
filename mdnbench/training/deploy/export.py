"""The export of networks to ONNX files for images of any size, and the comparison of a file with its network."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mdnbench import __version__
from mdnbench.errors import MdnbenchError
from mdnbench.training.deploy import loaded_network
from mdnbench.util.silenced import without_warnings
from mdnbench.wrappers.onnx_session import Session, package
from mdnbench.wrappers.openvino_session import OpenvinoSession

if TYPE_CHECKING:
    from mdnbench.spec.specs import DenoiserSpec
    from mdnbench.weights import Weights

OPSET = 20
ODD_SIZES = ((37, 53), (61, 38))  # at least one side is odd: networks have to pad
LARGEST_DIFFERENCE = 1e-3  # of a pixel, on the [0, 1] scale; correct exports differ by rounding, about 1e-6
INPUTS, OUTPUT = ("noisy", "std"), "denoised"


def write(spec: DenoiserSpec, weights: Weights, path: Path) -> None:
    """Write a method's network with its weights as an ONNX file.

    The inputs are `noisy` (B, C, H, W) and, unless the network is blind, `std` (1, 1, 1, 1).

    Raises:
        Unavailable: A package is missing.
        MdnbenchError: The network cannot be exported, or the file computes something else than the network.
    """
    onnx = package("onnx")
    package("onnxscript")
    module = loaded_network.filled(spec, weights).requires_grad_(False)
    try:
        with _quiet():
            model = _exported(module, weights)
            onnx.helper.set_model_props(model, _facts(spec, weights))
            onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # torch's exporter raises many kinds of errors
        raise MdnbenchError(f"the network of {spec.name} cannot be written as ONNX: {reason(error)}") from error
    onnx.save(model, path)
    if (apart := difference(module, weights, path)) > LARGEST_DIFFERENCE:
        raise MdnbenchError(
            f"the ONNX file of {spec.name} computes something else than its network: they differ by {apart:.2g}."
        )


def difference(module: torch.nn.Module, weights: Weights, path: Path) -> float:
    """Return the largest difference of any pixel between a file's and its network's output, at two odd sizes.

    The difference is on the [0, 1] scale.

    Raises:
        MdnbenchError: The network or the file does not accept an image of such a size.
    """
    session = Session(path, "cpu")
    return max(_difference_at(size, module, weights, session) for size in ODD_SIZES)


def _difference_at(size: tuple[int, int], module: torch.nn.Module, weights: Weights, session: Session) -> float:
    (height, width), (noisy, std) = size, loaded_network.example(weights, *size)
    try:
        with torch.inference_mode():
            expected = module(noisy, std)
        given = torch.from_numpy(session.run(feeds(session, noisy, std)))
        return float((given - expected).abs().max())
    except Exception as error:  # the network is a plugin's, and onnxruntime has many classes of errors
        raise MdnbenchError(
            f"the network of {weights.card.method} and its ONNX file were tried on an image of {width}x{height} "
            f"pixels, and that failed ({reason(error)}); the network has to take any size: let it pad images itself."
        ) from error


def reason(error: Exception) -> str:
    """Return an error's class and message, in one line of at most 300 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def feeds(session: Session | OpenvinoSession, noisy: torch.Tensor, std: torch.Tensor | None) -> dict[str, Any]:
    """Return the inputs for a session of an exported file. The file of a blind network has only one."""
    given = (noisy,) if std is None else (noisy, std)
    return {each.name: tensor.cpu().numpy() for each, tensor in zip(session.inputs, given, strict=True)}


def _exported(module: torch.nn.Module, weights: Weights) -> Any:
    noisy, std = loaded_network.example(weights, 48, 80, batch=2)
    sizes = {axis: torch.export.Dim(name, min=1) for axis, name in ((0, "batch"), (2, "height"), (3, "width"))}
    arguments, shapes = ((noisy,), (sizes,)) if std is None else ((noisy, std), (sizes, None))
    program = torch.onnx.export(
        module, arguments, dynamic_shapes=shapes, dynamo=True, opset_version=OPSET, verbose=False,
        input_names=list(INPUTS[: len(arguments)]), output_names=[OUTPUT],
    )  # fmt: skip
    assert program is not None
    return program.model_proto


def _facts(spec: DenoiserSpec, weights: Weights) -> dict[str, str]:
    """Return the facts that are stored in the file."""
    card = weights.card
    return {
        "method": spec.name,
        "options": ", ".join(f"{key}={value}" for key, value in card.options.items()),
        "keep": f"{card.keep:g}",
        "weights": weights.name,
        "weights_sha256": weights.sha256,
        "noise": "; ".join(map(str, card.noise)),
        "std": "blind: the noise level is no input" if card.blind else "the noise's standard deviation, [0, 1] scale",
        "sizes": "any height and width; padding is in the graph",
        "licence": spec.licence,
        "citation": spec.citation,
        "opset": str(OPSET),
        "made_by": f"mdnbench {__version__}",
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's warnings, log messages and output, because stdout is for data."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    with without_warnings(), contextlib.redirect_stdout(io.StringIO()):
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)

"""Networks as ONNX files that take images of any size, checked against the network itself."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import __version__
from mdnbench.errors import MdnbenchError
from mdnbench.training.deploy import networks
from mdnbench.util.quiet import without_warnings
from mdnbench.wrappers.onnx_session import Session, package

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.specs import DenoiserSpec
    from mdnbench.weights import Weights

OPSET = 20
ODD_SIZES = ((37, 53), (61, 38))  # which no power of two divides
LARGEST_DIFFERENCE = 1e-3  # of a pixel, on the [0, 1] scale; exports differ by rounding, about 1e-6
INPUTS, OUTPUT = ("noisy", "std"), "denoised"


def write(spec: DenoiserSpec, weights: Weights, path: Path) -> None:
    """Write a method's network with its weights: inputs `noisy` (B, C, H, W) and, unless blind, `std` (1, 1, 1, 1).

    Unavailable where a package is missing; MdnbenchError where the network cannot be exported, or the file does not
    compute what the network does.
    """
    onnx = package("onnx")
    package("onnxscript")
    module = networks.filled(spec, weights).requires_grad_(False)
    try:
        with _quiet():
            model = _exported(module, weights)
            onnx.helper.set_model_props(model, _facts(spec, weights))
            onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # torch's exporter raises nearly anything, in many lines
        raise MdnbenchError(f"the network of {spec.name} cannot be written as ONNX: {reason(error)}") from error
    onnx.save(model, path)
    if (apart := difference(module, weights, path)) > LARGEST_DIFFERENCE:
        raise MdnbenchError(
            f"the ONNX file of {spec.name} computes something else than its network: they differ by {apart:.2g}."
        )


def difference(module: torch.nn.Module, weights: Weights, path: Path) -> float:
    """The largest difference of any pixel, on the [0, 1] scale, between a file and its network, at two odd sizes.

    MdnbenchError where either of the two cannot be called with an image of such a size.
    """
    session = Session(path, "cpu")
    return max(_difference_at(size, module, weights, session) for size in ODD_SIZES)


def _difference_at(size: tuple[int, int], module: torch.nn.Module, weights: Weights, session: Session) -> float:
    import torch

    (height, width), (noisy, std) = size, networks.example(weights, *size)
    try:
        with torch.inference_mode():
            expected = module(noisy, std)
        given = torch.from_numpy(session.run(feeds(session, noisy, std)))
        return float((given - expected).abs().max())
    except Exception as error:  # the network is a plugin's, and onnxruntime has an error of its own for each status
        raise MdnbenchError(
            f"the network of {weights.card.method} and its ONNX file were tried on an image of {width}x{height} "
            f"pixels, and that failed ({reason(error)}); the network has to take any size: let it pad images itself."
        ) from error


def reason(error: Exception) -> str:
    """What an error says, in one line of at most 300 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def feeds(session: Session, noisy: torch.Tensor, std: torch.Tensor | None) -> dict[str, Any]:
    """What a session of such a file is run with; a file of a blind network has one input."""
    given = (noisy,) if std is None else (noisy, std)
    return {each.name: tensor.cpu().numpy() for each, tensor in zip(session.inputs, given, strict=True)}


def _exported(module: torch.nn.Module, weights: Weights) -> Any:
    import torch

    noisy, std = networks.example(weights, 48, 80, batch=2)
    sizes = {axis: torch.export.Dim(name, min=1) for axis, name in ((0, "batch"), (2, "height"), (3, "width"))}
    arguments, shapes = ((noisy,), (sizes,)) if std is None else ((noisy, std), (sizes, None))
    program = torch.onnx.export(
        module, arguments, dynamic_shapes=shapes, dynamo=True, opset_version=OPSET, verbose=False,
        input_names=list(INPUTS[: len(arguments)]), output_names=[OUTPUT],
    )  # fmt: skip
    assert program is not None
    return program.model_proto


def _facts(spec: DenoiserSpec, weights: Weights) -> dict[str, str]:
    """What the file says of itself."""
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
    """Without what the exporter says of its own inside; whatever it prints is not data."""
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

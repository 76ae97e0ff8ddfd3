"""`mdnbench export`: write a learned method as an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mdnbench import api
from mdnbench.cli import completion as tab
from mdnbench.cli import draw, progress
from mdnbench.cli import options as o


@dataclass(frozen=True, slots=True)
class ExportDocument:
    """The file that was written.

    Attributes:
        weights: The name of the weights in it.
        weights_sha256: The digest of the weights.
        inputs: The names of its inputs.
        opset: The version of the ONNX operators.
        bytes: Its size in bytes.
        largest_difference: The largest difference of any pixel from the network in torch, on the [0, 1] scale.
        sizes: The sizes of the compared images, as height and width.
    """

    path: str
    weights: str
    weights_sha256: str
    inputs: tuple[str, ...]
    opset: int
    bytes: int
    largest_difference: float
    sizes: tuple[tuple[int, int], ...]


def export(
    method: Annotated[
        str,
        typer.Argument(
            help="A learned method, as unet, 'unet[precision=int8]' or 'unet[weights=NAME]'.",
            autocompletion=tab.one("learned"),
        ),
    ],
    to: Annotated[str, typer.Option(help="The format: onnx.")] = "onnx",
    out: Annotated[Path | None, typer.Option(help="The file. [default: METHOD.onnx here]")] = None,
    noise: Annotated[
        str,
        typer.Option(help="Take the weights for this noise, as gaussian:50. [default: Gaussian, the widest range]"),
    ] = "",
    plugin: o.Plugin = None,
    json: o.Json = False,
) -> None:
    """Write a learned method as an ONNX file for images of any size, and compare it with the network in torch.

    Example: mdnbench export unet --to onnx --out unet.onnx
    """
    with progress.waiting(f"exporting {method}"):
        made = api.export_model(method, out, to=to, noise=noise, plugins=plugin or ())
    sizes = " and ".join(f"{width}×{height}" for height, width in made.sizes)
    if json:
        found = ExportDocument(
            str(made.path), made.weights.name, made.weights.sha256, made.inputs, made.opset, made.bytes,
            made.difference, made.sizes,
        )  # fmt: skip
        draw.data("export", found)
        return
    typer.echo(
        f"{made.path}\n{made.bytes / 1e6:.2f} MB, opset {made.opset}, weights {made.weights.name} "
        f"({made.weights.sha256[:12]}), inputs {', '.join(made.inputs)}; any height and width\n"
        f"largest difference from torch at {sizes}: {made.difference:.2g} of 1"
    )

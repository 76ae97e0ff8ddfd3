"""`mdnbench export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdnbench.cli import completing as tab
from mdnbench.cli import options as o


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
    """Write a learned method as an ONNX file for images of any size, checked against the network.

    Example: mdnbench export unet --to onnx --out unet.onnx
    """
    from mdnbench import api
    from mdnbench.cli import draw, progress

    with progress.waiting(f"exporting {method}"):
        made = api.export_model(method, out, to=to, noise=noise, plugins=plugin or ())
    sizes = " and ".join(f"{width}×{height}" for height, width in made.sizes)
    if json:
        draw.data({
            "path": str(made.path), "weights": made.weights.name, "weights_sha256": made.weights.sha256,
            "inputs": list(made.inputs), "opset": made.opset, "bytes": made.bytes,
            "largest_difference": made.difference, "sizes": [list(size) for size in made.sizes],
        })  # fmt: skip
        return
    typer.echo(
        f"{made.path}\n{made.bytes / 1e6:.2f} MB, opset {made.opset}, weights {made.weights.name} "
        f"({made.weights.sha256[:12]}), inputs {', '.join(made.inputs)}; any height and width\n"
        f"largest difference from torch at {sizes}: {made.difference:.2g} of 1"
    )

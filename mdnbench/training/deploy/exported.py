"""The export of a learned method to a file that the user names."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import weights
from mdnbench.errors import BadOption, Unavailable, UsageError
from mdnbench.registry import variants
from mdnbench.training.deploy import export, loaded_network, models
from mdnbench.util import atomic
from mdnbench.util.slugs import slug

if TYPE_CHECKING:
    from mdnbench.registry import Registry
    from mdnbench.spec.names import Named
    from mdnbench.spec.specs import DenoiserSpec
    from mdnbench.weights import Weights

FORMATS = ("onnx",)


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported file.

    Attributes:
        path: The file.
        weights: The weights in it.
        inputs: The names and shapes of its inputs.
        opset: The version of ONNX's operators.
        bytes: Its size.
        difference: The largest difference of any pixel, on the [0, 1] scale, between ONNX Runtime's output of the file
            and torch's output of the network in full precision.
        sizes: The image sizes (height, width) at which the two were compared.
    """

    path: Path
    weights: Weights
    inputs: tuple[str, ...]
    opset: int
    bytes: int
    difference: float
    sizes: tuple[tuple[int, int], ...]


def write(known: Registry, named: Named, noise: Named | None, to: str, out: Path | None) -> Exported:
    """Export a method with the weights that a run under a noise would use.

    Args:
        known: The registry.
        named: The method with its options.
        noise: The noise; None for Gaussian noise.
        to: The format, one of FORMATS.
        out: The file to write; by default, a name in the working directory.

    Raises:
        UsageError: The method cannot be exported: it has no network or no weights yet, or a package is missing.
    """
    spec = known.denoisers[named.name]
    found = _weights(spec, named, noise, to)
    try:
        made = models.obtain(known, spec, found, variants.of(spec, named).precision)
    except Unavailable as error:
        raise UsageError(str(error)) from None
    path = out or Path(f"{slug(named.text)}.onnx")
    try:
        path.parent.resolve(strict=True)  # do not create the folder: a missing one is probably a mistake
        with atomic.replacing(path) as part:
            shutil.copyfile(made, part)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}. Make room, or name another file with --out."
        ) from None
    apart = export.difference(loaded_network.filled(spec, found), found, path)
    inputs = ("noisy (batch, channels, height, width)", *(() if found.card.blind else ("std (1, 1, 1, 1)",)))
    return Exported(path, found, inputs, export.OPSET, path.stat().st_size, apart, export.ODD_SIZES)


def _weights(spec: DenoiserSpec, named: Named, noise: Named | None, to: str) -> Weights:
    """Return the weights to export. Raise UsageError if there is nothing to export."""
    if to not in FORMATS:
        raise BadOption(f"--to {to} is not allowed; it takes {', '.join(FORMATS)}.")
    if spec.trainable is None:
        raise UsageError(f"{spec.name} is not a learned method; there is no network to write.")
    variant = variants.of(spec, named)
    if variant.precision == "bf16" or variant.compile or variant.provider != "auto":
        raise BadOption(
            f"{named.text} cannot be written: an ONNX file is in fp32 or int8 (precision=int8), pruned or not (keep), "
            "and what computes it is chosen where it is used."
        )
    found = weights.resolve(spec, named, noise)
    if found is None:
        raise UsageError(f"{named.text} has no weights yet: `mdnbench train '{named.text}'` makes some.")
    return found.weights

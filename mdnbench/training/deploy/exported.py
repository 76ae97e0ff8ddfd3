"""A learned method as an ONNX file of a person's own, with what can be said of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import weights
from mdnbench.errors import BadOption, Unavailable, UsageError
from mdnbench.registry import variants
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
    """A file that was written: the weights in it, its inputs in words, its opset and size, and whether it is true.

    `difference` is the largest of any pixel, on the [0, 1] scale, between what ONNX Runtime makes of it and what torch
    makes of the network in full precision, at `sizes` (height, width).
    """

    path: Path
    weights: Weights
    inputs: tuple[str, ...]
    opset: int
    bytes: int
    difference: float
    sizes: tuple[tuple[int, int], ...]


def write(known: Registry, named: Named, noise: Named | None, to: str, out: Path | None) -> Exported:
    """Write a method in the format `to`, with the weights that a run under this noise would use.

    UsageError where it cannot be written: no network, no weights yet, a missing package.
    """
    from mdnbench.training.deploy import export, models, networks

    spec = known.denoisers[named.name]
    found = _weights(spec, named, noise, to)
    try:
        made = models.obtain(known, spec, found, variants.of(spec, named).precision)
    except Unavailable as error:
        raise UsageError(str(error)) from None
    path = out or Path(f"{slug(named.text)}.onnx")
    try:
        path.parent.resolve(strict=True)  # a folder that is not there is more likely a mistake
        with atomic.replacing(path) as part:
            shutil.copyfile(made, part)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}. Make room, or name another file with --out."
        ) from None
    apart = export.difference(networks.filled(spec, found), found, path)
    inputs = ("noisy (batch, channels, height, width)", *(() if found.card.blind else ("std (1, 1, 1, 1)",)))
    return Exported(path, found, inputs, export.OPSET, path.stat().st_size, apart, export.ODD_SIZES)


def _weights(spec: DenoiserSpec, named: Named, noise: Named | None, to: str) -> Weights:
    """The weights to be written; UsageError where there is nothing to write."""
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

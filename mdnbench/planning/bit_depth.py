"""Make the notes of a run about images with more than 8 bits.

Values are divided by the largest value that their file can hold, whatever part of the range the camera has used. Most
protocols round to 8 bits. Both are assumptions that change results, so a run notes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdnbench.data.pixels import BYTE_TOP, WORD_TOP
from mdnbench.evaluation.protocols import Protocol
from mdnbench.spec.names import counted, show

if TYPE_CHECKING:
    from mdnbench.planning.plan import PlannedNoise
    from mdnbench.spec.specs import Image

BITS = (8, 10, 12, 14, 16)  # common depths of sensors and files
WORD_BITS = 16


@dataclass(frozen=True, slots=True)
class Depth:
    """The bits of an image's values, and the largest whole number among them.

    `bits` is 0 if the values are not whole numbers of any known number of bits.
    """

    image: str
    bits: int
    largest: int = 0


def of(image: str, pixels: Image) -> Depth:
    """Return the depth of an image (float32 in [0, 1]), determined from its values because any data set may be deep."""
    import numpy as np

    for bits in BITS:
        top = np.float32(2**bits - 1)
        levels = np.rint(pixels * top)
        if np.array_equal(levels / top, pixels):
            return Depth(image, bits, int(levels.max()))
    return Depth(image, 0)


def notes(depths: Sequence[Depth], protocol: Protocol, noises: Sequence[PlannedNoise]) -> tuple[str, ...]:
    """Return the notes about images of more than 8 bits: the assumed range, and the effect of rounding."""
    words = [depth for depth in depths if depth.bits == WORD_BITS]
    found = [_range_note(words, noises)] if words else []
    deep = [depth for depth in depths if depth.bits > 8]
    rounded = [rule.bits for rule in (protocol.input, protocol.scoring) if rule.bits]
    if any(depth.bits > min(rounded, default=WORD_BITS) for depth in deep):
        found.append(_rounding_note(deep, protocol, min(rounded)))
    return tuple(found)


def _range_note(words: Sequence[Depth], noises: Sequence[PlannedNoise]) -> str:
    """Return the note about the assumed range, and about the effect if a camera has used less of it."""
    sigma = next((values["sigma"] for noise in noises if "sigma" in (values := noise.named.numbers())), 0.0)
    unit = WORD_TOP / BYTE_TOP
    example = f" (sigma {show(sigma)} is {sigma * unit:,.0f})" if sigma else ""
    note = (
        f"{counted(len(words), 'image')} of 16 bits: values are divided by {WORD_TOP}, so that sigma, which is on the "
        f"0-255 scale, is {unit:.0f} times as much in the units of the file{example}."
    )
    dark = [depth for depth in words if depth.largest < 2 ** BITS[-2]]
    return f"{note} {_dark_note(dark, sigma)}" if dark else note


def _dark_note(dark: Sequence[Depth], sigma: float) -> str:
    largest = max(depth.largest for depth in dark)
    bits = next(bits for bits in BITS if largest < 2**bits)
    factor = WORD_TOP / (2**bits - 1)
    example = f" (sigma {show(sigma)} acts as {sigma * factor:,.0f})" if sigma else ""
    where = f"{dark[0].image!r}" if len(dark) == 1 else f"{dark[0].image!r} and {len(dark) - 1} more"
    return (
        f"The largest value found in {where} is {largest}: if this is {bits}-bit data, everything is {factor:.0f} "
        f"times too dark, each sigma acts {factor:.0f} times as strongly{example}, and each PSNR is "
        f"{20 * math.log10(factor):.1f} dB too high. Multiply the values by {WORD_TOP}/{2**bits - 1} to fill the range."
    )


def _rounding_note(deep: Sequence[Depth], protocol: Protocol, bits: int) -> str:
    """Return the note about the effect on sigma and PSNR of rounding to fewer bits than the data have."""
    step = 255 / (2**bits - 1)
    limit = 10 * math.log10(12 * (2**bits - 1) ** 2)  # the PSNR of an error that is uniform over one step
    where = "noisy images and outputs" if protocol.input.bits else "outputs"
    return (
        f"{counted(len(deep), 'image')} of more than {bits} bits: the protocol {protocol.name!r} rounds {where} to "
        f"{bits} bits and compares them with the clean image as it is. This adds an error of sigma "
        f"{step / math.sqrt(12):.2f} on the 0-255 scale: no PSNR comes much above {limit:.1f} dB, and those near it "
        "are too low. The protocol 'float' does not round."
    )

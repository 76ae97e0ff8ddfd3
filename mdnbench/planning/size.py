"""Check the size of a plan before any part of it is built."""

from __future__ import annotations

from mdnbench.errors import BadOption
from mdnbench.planning.request import Request
from mdnbench.spec.names import with_commas
from mdnbench.util.limits import MAX_CELLS, MAX_PAIRS


def check(request: Request, methods: int, noises: int, images: int) -> None:
    """Raise BadOption if a plan has more cells than a run can have.

    Args:
        request: The request, for its number of seeds.
        methods: The number of methods.
        noises: The number of noises.
        images: The number of images.

    """
    pairs = methods * noises
    if pairs > MAX_PAIRS:
        raise BadOption(
            f"{methods:,} methods under {noises:,} noises are {with_commas(pairs)} pairs, and at most {MAX_PAIRS:,} "
            "are allowed in one run. Give fewer, or several runs."
        )
    cells = pairs * images * request.seeds
    if cells > MAX_CELLS:
        raise BadOption(
            f"{methods:,} methods under {noises:,} noises on {images:,} images with {request.seeds:,} seeds are "
            f"{with_commas(cells)} cells, and at most {MAX_CELLS:,} are allowed in one run. Give fewer, or several "
            "runs."
        )

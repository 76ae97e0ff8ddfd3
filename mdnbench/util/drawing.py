"""Draw charts without a browser. A chart is a Vega-Lite specification, a dictionary, which vl-convert draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import vl_convert

VegaLite: TypeAlias = dict[str, Any]  # a Vega-Lite specification or a part of one

KINDS = ("svg", "pdf", "png")


def draw(spec: VegaLite, kind: str, pixels_per_inch: float | None = None) -> bytes:
    """Return a chart as a file.

    Args:
        spec: The Vega-Lite specification, with its data inside.
        kind: `svg`, `pdf` or `png`.
        pixels_per_inch: The resolution of a PNG; by default 72.
    """
    if kind == "svg":
        return vl_convert.vegalite_to_svg(spec).encode()
    if kind == "pdf":
        return bytes(vl_convert.vegalite_to_pdf(spec))
    return bytes(vl_convert.vegalite_to_png(spec, ppi=pixels_per_inch))


def values(rows: Sequence[Mapping[str, Any]]) -> VegaLite:
    """Return rows as the data of a chart."""
    return {"values": list(rows)}


def number(field: str, **look: Any) -> VegaLite:
    """Return an encoding of a field of numbers."""
    return {"field": field, "type": "quantitative", **look}


def name(field: str, **look: Any) -> VegaLite:
    """Return an encoding of a field of names."""
    return {"field": field, "type": "nominal", **look}

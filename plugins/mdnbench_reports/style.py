"""The colours and fonts of all charts; the HTML page replaces the colours with its own variables, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mdnbench.util import drawing

INK = "#1c1d1f"
MUTED = "#66696e"
RULE = "#dddcd7"
ACCENT = "#0b6b66"
SOFT = "#a9bfbc"
PAPER = "#fffffe"

# The page's variable for each colour. A chart for a paper keeps the colour itself.
VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", ACCENT: "--accent", SOFT: "--soft", PAPER: "--paper"}

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
WIDTH = 300  # pixels of the plotting area: readable on a phone, and two or three fit next to each other on a desktop
LABEL_WIDTH = 150
STEP = 24  # pixels per row

_AXIS = {
    "domainColor": MUTED, "tickColor": MUTED, "gridColor": RULE, "labelColor": MUTED, "titleColor": MUTED,
    "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelLimit": LABEL_WIDTH, "tickSize": 4,
}  # fmt: skip


def config() -> dict[str, Any]:
    """Return the Vega-Lite configuration of all charts."""
    return {
        "font": FONT,
        "background": PAPER,
        "padding": 6,
        "view": {"stroke": None},
        "axis": _AXIS,
        "axisY": {"labelColor": INK},
        "title": {"color": INK, "fontSize": 12, "fontWeight": 600, "anchor": "start", "offset": 10, "limit": 480},
        "text": {"color": INK, "fontSize": 11},
    }


def names(field: str, order: Sequence[str], **axis: Any) -> drawing.VegaLite:
    """Return an axis of names in this order.

    The order is the scale's domain and not a `sort`. Vega-Lite would write a `sort` into an expression, in which a name
    could be executed as code.

    Args:
        field: The field with the names.
        order: The names in their order.
        axis: Further options of the axis.

    """
    look = {"ticks": False, "domain": False, "labelPadding": 8, **axis}
    return drawing.name(field, scale={"domain": list(order)}, sort=None, title=None, axis=look)

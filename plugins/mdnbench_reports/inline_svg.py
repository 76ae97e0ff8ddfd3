"""Turn the SVG of a chart into one that is safe inside a page and follows its colours."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from mdnbench_reports import style

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # characters that XML 1.0 does not allow
_SVG = "{http://www.w3.org/2000/svg}"
_ELEMENTS = {"svg", "g", "path", "rect", "line", "circle", "text", "tspan", "defs", "clipPath"}
_ATTRIBUTES = {
    "viewBox", "transform", "d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "cx", "cy", "r", "rx", "width", "height",
    "fill", "stroke", "opacity", "fill-opacity", "stroke-opacity", "stroke-width", "stroke-dasharray", "text-anchor",
    "font-size", "font-weight", "aria-label", "aria-hidden",
}  # fmt: skip


def of(svg: bytes, title: str) -> str:
    """Return an SVG that can be part of an HTML page.

    It has only known elements and attributes, so nothing in it can be executed. Its colours are those of the page.

    Args:
        svg: The SVG.
        title: The text that describes it.

    """
    root = ElementTree.fromstring(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", svg.decode()))
    _clean(root)
    root.set("role", "group")  # screen readers read the marks of a group one by one
    root.set("aria-label", title)
    width, height = root.get("viewBox", "0 0 0 0").split()[2:]
    root.set("width", width)
    root.set("height", height)
    return _themed(ElementTree.tostring(root, encoding="unicode"))


def _clean(element: ElementTree.Element) -> None:
    """Remove unknown elements and attributes."""
    element.tag = element.tag.removeprefix(_SVG)
    for name in [name for name in element.attrib if name not in _ATTRIBUTES]:
        del element.attrib[name]
    if element.get("aria-label"):
        element.set("role", "img")
    for child in list(element):
        if child.tag.removeprefix(_SVG) in _ELEMENTS:
            _clean(child)
        else:
            element.remove(child)


def _themed(svg: str) -> str:
    """Replace the colours of the style with the page's variables."""
    for colour, variable in style.VARIABLES.items():
        svg = re.sub(rf'(fill|stroke)="{colour}"', rf'\1="var({variable})"', svg)
    return svg

"""What a wrapped method says of itself, and the spec that is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from mdnbench.spec.names import Option, Value
from mdnbench.spec.specs import DenoiserSpec
from mdnbench.util.digests import of_parts

if TYPE_CHECKING:
    from mdnbench.spec.specs import Denoise

Wants = Literal["noise", "std", "nothing"]
Build = Callable[[Mapping[str, Value], str], "Denoise"]


class About(TypedDict, total=False):
    """What every wrapper takes beside its own arguments: fields of DenoiserSpec, all of them optional."""

    revision: str
    summary: str
    options: tuple[Option, ...]
    packages: tuple[str, ...]
    licence: str
    citation: str
    published_as: str


def spec(
    name: str, build: Build, *, wants: Wants, channels: tuple[int, ...], packages: tuple[str, ...], about: About,
    content: tuple[Any, ...],
) -> DenoiserSpec:  # fmt: skip
    """The spec of a wrapped method: what is in `content` (digests of files, settings) is part of its revision."""
    return DenoiserSpec(
        name=name,
        revision=f"{about.get('revision', '1')}+{of_parts(*content)[:12]}",
        summary=about.get("summary", ""),
        build=lambda options, device, weights: build(options, device),
        options=about.get("options", ()),
        wants=wants,
        channels=channels,
        packages=tuple(dict.fromkeys([*packages, *about.get("packages", ())])),
        licence=about.get("licence", ""),
        citation=about.get("citation", ""),
        published_as=about.get("published_as", ""),
    )

"""Make the spec of a wrapped method from its descriptive fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from mdnbench.spec.names import Option, Value
from mdnbench.spec.specs import DenoiserSpec
from mdnbench.util.digests import of_parts

if TYPE_CHECKING:
    from mdnbench.spec.specs import Denoise

Wants = Literal["noise", "std", "nothing"]
Build = Callable[[Mapping[str, Value], str], "Denoise"]


class MethodFields(TypedDict, total=False):
    """The optional fields of DenoiserSpec that every wrapper takes in addition to its own arguments."""

    revision: str
    summary: str
    options: tuple[Option, ...]
    packages: tuple[str, ...]
    licence: str
    citation: str
    published_as: str
    files: tuple[str | Path, ...]
    stabilise: bool | None


def spec(
    name: str, build: Build, *, wants: Wants, channels: tuple[int, ...], packages: tuple[str, ...], about: MethodFields,
    content: tuple[Any, ...],
) -> DenoiserSpec:  # fmt: skip
    """Return the spec of a wrapped method.

    Args:
        name: The name of the method.
        build: `build(options, device)` returns the denoiser.
        wants: The information about the noise that the method needs.
        channels: The numbers of channels that it accepts.
        packages: The distributions whose versions change its output.
        about: The descriptive fields.
        content: Digests of files, and settings, which become part of the revision.

    """
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
        files=about.get("files", ()),
        stabilise=about.get("stabilise"),
    )

"""What is known of sources that were tried before, in the home: it holds until one of their files changes."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import __version__
from mdnbench.errors import BadFile
from mdnbench.registry.code import Digests, changed
from mdnbench.spec.records import UsedFile
from mdnbench.util import jsonfile, paths
from mdnbench.util.digests import of_parts

if TYPE_CHECKING:
    from mdnbench.registry.discovery import Door

LAYOUT = "3"  # of the file, and of what a trial looks for


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trial found: an `error`, or the names of what the source changes, its specs as data, and what it loaded.

    `specs` are there for a source that changes something: (hook, the fields of one spec).
    """

    error: str = ""
    patches: tuple[str, ...] = ()
    specs: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    files: tuple[UsedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """What a verdict holds under: the file's layout, Python, mdnbench, and the source's own text or version."""

    layout: str
    python: str
    mdnbench: str
    code: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """The content of a verdict's file."""

    under: _Circumstances
    verdict: Verdict


def recall(door: Door, digests: Digests) -> Verdict | None:
    """Return what is known of a source; None if it was never tried, or something of it has changed."""
    try:
        kept = jsonfile.read(_path(door), "verdict", _Kept)
    except BadFile:
        return None
    same = kept.under == _circumstances(door) and not changed(kept.verdict.files, door.root, digests)
    return kept.verdict if same else None


def keep(door: Door, verdict: Verdict) -> None:
    """Keep what was found; without a word if the home cannot be written."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        jsonfile.write(_path(door), _Kept(_circumstances(door), verdict))


def _circumstances(door: Door) -> _Circumstances:
    code = door.code if door.path else f"{door.value} {door.version}"
    return _Circumstances(LAYOUT, platform.python_version(), __version__, code)


def _path(door: Door) -> Path:
    name = of_parts(str(door.path)) if door.path else of_parts(door.name, door.value, door.distribution)
    return paths.home() / "trials" / f"{name[:32]}.json"

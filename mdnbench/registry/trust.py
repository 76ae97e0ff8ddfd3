"""What is known of sources that were tried before, in the home: it holds until one of their files changes."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import __version__, jsonfile, paths
from mdnbench.digests import of_parts
from mdnbench.errors import BadFile
from mdnbench.records import UsedFile
from mdnbench.registry.code import Digests, changed

if TYPE_CHECKING:
    from mdnbench.registry.discovery import Door

LAYOUT = "3"  # of the file, and of what a trial looks for
_SHAPE = {
    "layout": str,
    "python": str,
    "mdnbench": str,
    "code": str,
    "patches": [str],
    "specs": [dict],
    "files": [[str]],
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trial found: an `error`, or the names of what the source changes, its specs as data, and what it loaded.

    `specs` are there for a source that changes something: (hook, the fields of one spec).
    """

    error: str = ""
    patches: tuple[str, ...] = ()
    specs: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    files: tuple[UsedFile, ...] = ()


def recall(door: Door, digests: Digests) -> Verdict | None:
    """Return what is known of a source; None if it was never tried, or something of it has changed."""
    try:
        kept = jsonfile.read(_path(door), "verdict", _SHAPE)
        known = _verdict(kept)
    except (BadFile, TypeError, ValueError, KeyError):
        return None
    same = all(kept[name] == value for name, value in _circumstances(door).items())
    return known if same and not changed(known.files, door.root, digests) else None


def keep(door: Door, verdict: Verdict) -> None:
    """Keep what was found; without a word if the home cannot be written."""
    content = _circumstances(door) | {
        "patches": list(verdict.patches),
        "specs": [{"hook": hook, "fields": dict(fields)} for hook, fields in verdict.specs],
        "files": [list(dataclasses.astuple(file)) for file in verdict.files],
    }
    with contextlib.suppress(OSError, ValueError, TypeError):
        jsonfile.write(_path(door), content)


def _verdict(kept: Mapping[str, Any]) -> Verdict:
    specs = tuple((str(each["hook"]), dict(each["fields"])) for each in kept["specs"])
    return Verdict(patches=tuple(kept["patches"]), specs=specs, files=tuple(UsedFile(*each) for each in kept["files"]))


def _circumstances(door: Door) -> dict[str, str]:
    return {
        "layout": LAYOUT, "python": platform.python_version(), "mdnbench": __version__,
        "code": door.code if door.path else f"{door.value} {door.version}",
    }  # fmt: skip


def _path(door: Door) -> Path:
    name = of_parts(str(door.path)) if door.path else of_parts(door.name, door.value, door.distribution)
    return paths.home() / "trials" / f"{name[:32]}.json"

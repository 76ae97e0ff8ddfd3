"""Store the results of trials in the home folder; a result is valid until a file of the source changes."""

from __future__ import annotations

import contextlib
import dataclasses
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

LAYOUT = "3"  # version of this file format and of what a trial detects
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
    """The result of a trial: an `error`, or what the source changes, its specs as data, and the files that it loaded.

    `patches` are the names of what the source changes. `specs` are filled only if it changes something: for each spec
    the hook and the spec's fields.
    """

    error: str = ""
    patches: tuple[str, ...] = ()
    specs: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    files: tuple[UsedFile, ...] = ()


def recall(door: Door, digests: Digests) -> Verdict | None:
    """Return the stored result for a source; None if there is none, or if a file of the source has changed."""
    try:
        kept = jsonfile.read(_path(door), "verdict", _SHAPE)
        known = _verdict(kept)
    except (BadFile, TypeError, ValueError, KeyError):
        return None
    same = all(kept[name] == value for name, value in _circumstances(door).items())
    return known if same and not changed(known.files, door.root, digests) else None


def keep(door: Door, verdict: Verdict) -> None:
    """Store the result of a trial; do nothing if the home folder cannot be written."""
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

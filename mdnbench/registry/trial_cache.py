"""Store the results of trials in the home folder; a result is valid until a file of the source changes."""

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
    from mdnbench.registry.discovery import PluginSource

LAYOUT = "6"  # version of this file format and of what a trial detects


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The result of a trial: an `error`, or what the source changes, its specs as data, and the files that it loaded.

    `patches` are the names of what the source changes. `specs` are filled only if it changes something: for each spec
    the hook and the spec's fields.
    """

    error: str = ""
    patches: tuple[str, ...] = ()
    specs: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    files: tuple[UsedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """What must be unchanged, besides the loaded files, for a stored trial result to be valid.

    It is the version of the layout, of Python and of mdnbench, and the code of the source: the digest of a plugin
    file's syntax, or an entry point's value with the version of its distribution.
    """

    layout: str
    python: str
    mdnbench: str
    code: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """The content of a verdict's file."""

    under: _Circumstances
    verdict: TrialResult


def recall(source: PluginSource, digests: Digests) -> TrialResult | None:
    """Return the stored result for a source; None if there is none, or if a file of the source has changed."""
    try:
        kept = jsonfile.read(_path(source), "verdict", _Kept)
    except BadFile:
        return None
    same = kept.under == _circumstances(source) and not changed(kept.verdict.files, source.root, digests)
    return kept.verdict if same else None


def save(source: PluginSource, verdict: TrialResult) -> None:
    """Store the result of a trial; do nothing if the home folder cannot be written."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        jsonfile.write(_path(source), _Kept(_circumstances(source), verdict))


def _circumstances(source: PluginSource) -> _Circumstances:
    code = source.code if source.path else f"{source.value} {source.version}"
    return _Circumstances(LAYOUT, platform.python_version(), __version__, code)


def _path(source: PluginSource) -> Path:
    name = of_parts(str(source.path)) if source.path else of_parts(source.name, source.value, source.distribution)
    return paths.home() / "trials" / f"{name[:32]}.json"

"""The files that a spec declares in its field `files`. They count as used although nothing sees them opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mdnbench.errors import BadPlugin
from mdnbench.spec.records import UsedFile
from mdnbench.spec.specs import DenoiserSpec, MetricSpec, NoiseSpec
from mdnbench.util import limits

if TYPE_CHECKING:
    from mdnbench.registry.code import Digests
    from mdnbench.registry.discovery import PluginSource

Declaring: TypeAlias = "DenoiserSpec | NoiseSpec | MetricSpec"


def check(spec: object, source: PluginSource) -> None:
    """Check that every declared file can be compared; do nothing for specs that declare no files.

    Raises:
        BadPlugin: There are too many files, or one of them is missing, is no regular file, or is too large.

    """
    if not isinstance(spec, DenoiserSpec | NoiseSpec | MetricSpec) or not spec.files:
        return
    if len(spec.files) > limits.MAX_DECLARED_FILES:
        raise BadPlugin(
            f"{spec.name}: files names {len(spec.files):,} files; at most {limits.MAX_DECLARED_FILES:,} are allowed. "
            "Keep the data in fewer and larger files."
        )
    for path in paths(spec, source):
        if fault := _fault(path, source):
            raise BadPlugin(f"{spec.name}: files names {path}, {fault}")


def _fault(path: Path, source: PluginSource) -> str:
    if not os.path.lexists(path):
        return f"which does not exist; put the file there, or correct the path (relative paths start at {source.base})."
    if path.is_dir():
        return "which is a folder; name each file in it that counts."
    if not path.is_file():
        return "which is no regular file; name one, or leave it out."
    if path.stat().st_size > limits.MAX_COUNTED_BYTES:
        return f"which has more than {limits.MAX_COUNTED_BYTES:,} bytes; leave it out, and change the revision instead."
    return ""


def paths(spec: Declaring, source: PluginSource) -> tuple[Path, ...]:
    """Return the absolute paths of the files that a spec declares; symlinks are not resolved."""
    if not spec.files:
        return ()
    base = source.base
    return tuple(dict.fromkeys(Path(os.path.abspath(base / file)) for file in spec.files))  # noqa: PTH100


def records(spec: Declaring, source: PluginSource, digests: Digests) -> tuple[UsedFile, ...]:
    """Return records of the files that a spec declares, as they are now.

    Raises:
        BadPlugin: A file can no longer be read.

    """
    found = []
    for path in paths(spec, source):
        below = path.is_relative_to(source.root)
        name = path.relative_to(source.root).as_posix() if below else str(path)
        try:
            found.append(UsedFile("plugin" if below else "file", name, *digests.of(path)))
        except OSError as error:
            raise BadPlugin(
                f"{spec.name}: files names {path}, which cannot be read: {error.strerror or error}. Make it readable, "
                "or leave it out."
            ) from None
    return tuple(found)


def joined(files: tuple[UsedFile, ...], declared: tuple[UsedFile, ...]) -> tuple[UsedFile, ...]:
    """Return the files and those declared files that are not among them."""
    known = {(file.root, file.name) for file in files}
    return files + tuple(file for file in declared if (file.root, file.name) not in known)

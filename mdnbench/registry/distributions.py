"""Find the installed distribution of a file or a module, and describe a distribution for a manifest."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
from pathlib import Path

from mdnbench.registry.file_origin import kind_of, site_folders
from mdnbench.registry.installed_packages import Distribution, folder_of, normalised
from mdnbench.spec.records import UsedFile


def distribution_of_file(path: str | Path) -> str | None:
    """Return the name of the installed distribution that a file belongs to; None if there is none or it is editable."""
    return _owner(os.path.abspath(path)) or _owner(os.path.realpath(path))  # noqa: PTH100


def _owner(path: str) -> str | None:
    place = _packages_folder(path)
    if place is None:
        return None
    folder = folder_of(place)
    relative = path[len(place) + 1 :].replace(os.sep, "/")
    first, inner, _ = relative.partition("/")
    owners = folder.owners(first if inner else first.partition(".")[0])
    if len(owners) > 1:  # a namespace package that several distributions share
        owners = [each for each in owners if each.lists(relative)]
    return owners[0].name if owners and not folder.editable(owners[0]) else None


def _packages_folder(path: str) -> str | None:
    """Return the innermost folder of installed packages that contains a path."""
    found = [folder for folder in site_folders() if path.startswith(folder)]
    if found:
        return max(found, key=len).rstrip(os.sep)
    for above in Path(path).parents:
        if above.name in ("site-packages", "dist-packages"):
            return str(above)
    return None


def distribution_of(module: str) -> str | None:
    """Return the name of the installed distribution of a module; None if there is none or it is editable."""
    found = sys.modules.get(module)
    file = getattr(found, "__file__", None)
    if found is None:
        with contextlib.suppress(ImportError, ValueError, AttributeError):
            spec = importlib.util.find_spec(module)
            file = spec.origin if spec else None
    return distribution_of_file(file) if isinstance(file, str) and kind_of(file) == "installed" else None


def package_entry(distribution: str) -> UsedFile | None:
    """Return the record of an installed distribution: its version and the digest of its RECORD.

    Returns:
        The record; None if the distribution is not installed. For an editable distribution, or one without a RECORD,
        the record has the version alone.

    """
    if found := _installed(distribution):
        return _entry(found)
    version = _version_elsewhere(distribution)
    return UsedFile("package", normalised(distribution), version, version) if version else None


def version_of(distribution: str) -> str | None:
    """Return the version of an installed distribution; None if it is not installed."""
    if (found := _installed(distribution)) and found.version:
        return found.version
    return _version_elsewhere(distribution)


def _version_elsewhere(distribution: str) -> str | None:
    """Return the version of a distribution that only an import hook can find; None if there is none."""
    from importlib import metadata  # takes as long as a tenth of `mdnbench list`, and is rarely needed

    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(distribution)
    return None


def _installed(distribution: str) -> Distribution | None:
    name = normalised(distribution)
    for entry in sys.path:
        if found := folder_of(entry or os.getcwd()).distributions.get(name):  # noqa: PTH109
            return found
    return None


def _entry(found: Distribution) -> UsedFile:
    version = found.version
    if not version:  # an .egg-info folder of a checkout has no version in its name
        version = found.written()[1]
    record = b"" if found.editable() else found.read("RECORD")  # an editable one's RECORD does not list its files
    content = f"{version}+{hashlib.sha256(record).hexdigest()[:16]}" if record else version
    return UsedFile("package", found.name, content, content)

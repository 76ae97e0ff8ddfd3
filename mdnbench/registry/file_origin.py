"""Classify files: standard library, installed packages, packages of mdnbench, repository of a plugin."""

from __future__ import annotations

import functools
import os
import re
import site
import stat
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from mdnbench.registry.installed_packages import folder_of

FileOrigin: TypeAlias = Literal["standard", "installed", "own", "other"]

CORE = Path(__file__).resolve().parents[1]  # the folder of the package mdnbench


def root_of(file: Path) -> Path:
    """Return the repository of a plugin file, or the file's folder if there is none.

    The repository is the nearest folder above the file with .git, pyproject.toml or setup.py. The home folder, the
    temporary folder and the root of the file system never count as a repository.
    """
    folder = Path(os.path.abspath(file)).parent  # noqa: PTH100 (no symlink is followed)
    for above in (folder, *folder.parents):
        if too_wide(above):
            break
        if any((above / mark).exists() for mark in (".git", "pyproject.toml", "setup.py")):
            return above
    return folder


def too_wide(folder: Path) -> bool:
    """Return whether a folder is too large to be a repository or to be watched.

    These are the home folder, the temporary folder and the root of the file system.
    """
    real = os.path.realpath(folder)
    return real == os.path.dirname(real) or real in _everything()  # noqa: PTH120


def _everything() -> set[str]:
    return {os.path.realpath(os.path.expanduser("~")), os.path.realpath(tempfile.gettempdir())}  # noqa: PTH111


@functools.lru_cache(maxsize=1 << 14)
def kind_of(path: str | Path) -> FileOrigin:
    """Return where a file comes from.

    Returns:
        'own' for the package mdnbench and the packages of its distribution (mdnbench_*), 'installed' for site-packages
        or dist-packages of any environment, 'standard' for the standard library, and 'other' for all other files, which
        include editable installs.

    """
    given = os.path.abspath(path)  # noqa: PTH100
    if "mdnbench" not in given:  # the given path is enough to classify most files, which is quick
        if given.startswith(site_folders()):
            return "installed"
        if given.startswith(_standard_folders()):
            return "installed" if _in_packages(given) else "standard"
    real = os.path.realpath(path)
    if _either(given, real, _own_folders()):
        return "own"
    if _either(given, real, site_folders()) or _in_packages(given) or _in_packages(real):
        return "installed"
    if _either(given, real, _standard_folders()):
        return "standard"
    return "other"


def _either(given: str, real: str, folders: tuple[str, ...]) -> bool:
    return given.startswith(folders) or real.startswith(folders)


def _in_packages(path: str) -> bool:
    """Return whether a path is in a folder of installed packages of this or another environment."""
    parts = Path(path).parts
    return "site-packages" in parts or "dist-packages" in parts


def prefixes(folders: Iterable[Path | str | None]) -> tuple[str, ...]:
    """Return the folders as given and with symlinks resolved, each with a separator at the end."""
    found = set()
    for folder in folders:
        if folder:
            found.add(os.path.join(os.path.abspath(folder), ""))  # noqa: PTH100, PTH118
            found.add(os.path.join(os.path.realpath(folder), ""))  # noqa: PTH118
    return tuple(sorted(found))


def is_below(path: str, folders: tuple[str, ...]) -> bool:
    """Return whether an absolute path, as given or with symlinks resolved, is below one of these `prefixes`."""
    return path.startswith(folders) or os.path.realpath(path).startswith(folders)


def is_regular(path: str) -> bool:
    """Return whether a path is an ordinary file, and not a folder, a device or a pipe."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return False


@functools.cache
def site_folders() -> tuple[str, ...]:
    """Return the folders of installed packages of this environment."""
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return prefixes(folders)


@functools.cache
def _standard_folders() -> tuple[str, ...]:
    folders = [sysconfig.get_path("stdlib"), os.path.dirname(os.__file__)]  # noqa: PTH120
    folders += [entry for entry in sys.path if re.fullmatch(r"python\d+\.zip", os.path.basename(entry))]  # noqa: PTH119
    folders += [os.path.join(sys.base_prefix, "DLLs")]  # noqa: PTH118 (Windows)
    return prefixes(folders)


@functools.cache
def _own_folders() -> tuple[str, ...]:
    """Return the folders of the packages in the mdnbench distribution, in a checkout or installed."""
    own = [str(CORE)]
    if not _in_packages(str(CORE)):
        own += [str(each) for each in (CORE.parent / "plugins").glob("mdnbench_*") if each.is_dir()]
    elif owner := folder_of(str(CORE.parent)).owners("mdnbench"):
        own += [str(CORE.parent / top) for top in owner[0].tops() if top.startswith("mdnbench_")]
    return prefixes(own)


def own_package(path: str | Path) -> str:
    """Return the package of the mdnbench distribution that a file is in ("mdnbench" or "mdnbench_…"), or ""."""
    for given in (os.path.abspath(path), os.path.realpath(path)):  # noqa: PTH100
        for folder in _own_folders():
            if given.startswith(folder):
                return os.path.basename(folder.rstrip(os.sep))  # noqa: PTH119
    return ""

"""The workspace: the folder that holds the store, kept images and the runs' folders."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mdnbench.util import paths
from mdnbench.util.digests import of_parts

FOLDER = ".mdnbench"


def locate(given: Path | None = None) -> Path:
    """The workspace: `given`, or `.mdnbench` here, or under MDNBENCH_HOME where this folder cannot be written."""
    if given is not None:
        return given
    here = Path.cwd()
    if (here / FOLDER).is_dir() and _writable(here / FOLDER):
        return here / FOLDER
    if not (here / FOLDER).exists() and _writable(here):
        return here / FOLDER
    return paths.home() / "workspaces" / f"{here.name or 'root'}-{of_parts('workspace', str(here))[:8]}"


def _writable(folder: Path) -> bool:
    """Whether a file can really be made here: permissions alone do not tell on a read-only file system."""
    if not os.access(folder, os.W_OK):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False

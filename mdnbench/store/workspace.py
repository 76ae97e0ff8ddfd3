"""The workspace: the folder with the store, the stored images and the runs' folders."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mdnbench.util import paths
from mdnbench.util.digests import of_parts

FOLDER = ".mdnbench"


def locate(given: Path | None = None) -> Path:
    """Return the workspace.

    Args:
        given: The workspace, if the user chose one. By default, it is `.mdnbench` in the working directory, or a folder
            under MDNBENCH_HOME if the working directory cannot be written.
    """
    if given is not None:
        return given
    here = Path.cwd()
    if (here / FOLDER).is_dir() and _writable(here / FOLDER):
        return here / FOLDER
    if not (here / FOLDER).exists() and _writable(here):
        return here / FOLDER
    return paths.home() / "workspaces" / f"{here.name or 'root'}-{of_parts('workspace', str(here))[:8]}"


def _writable(folder: Path) -> bool:
    """Return whether a file can be created here. Permissions alone do not tell this on a read-only file system."""
    if not os.access(folder, os.W_OK):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False

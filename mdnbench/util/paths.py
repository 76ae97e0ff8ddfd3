"""Where things are on this machine: the home for caches, the read-only data folders, and whether to stay offline."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(text: str | Path) -> Path:
    """The path, with `~` and `~NAME` made home folders; where nobody bears the name, it is a name like any other."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 (Path.expanduser() raises where it is unknown)


def home() -> Path:
    """The folder for downloads, checkpoints and trained weights: MDNBENCH_HOME, or the platform's user cache."""
    if given := os.environ.get("MDNBENCH_HOME"):
        return expanded(given)
    import platformdirs

    return Path(platformdirs.user_cache_dir("mdnbench"))


def data_folders() -> list[Path]:
    """The read-only folders of MDNBENCH_DATA_PATH, in order; they are searched first and never written."""
    given = os.environ.get("MDNBENCH_DATA_PATH", "")
    return [expanded(part) for part in given.split(os.pathsep) if part]


def offline() -> bool:
    """Whether MDNBENCH_OFFLINE forbids the network."""
    return os.environ.get("MDNBENCH_OFFLINE", "").lower() not in ("", "0", "false", "no")

"""Find folders on this machine: the home folder for caches and the read-only data folders; read the offline setting."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(text: str | Path) -> Path:
    """Return the path with `~` and `~NAME` replaced by home folders; `~NAME` stays if there is no such user."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 (Path.expanduser() raises for an unknown user)


def home() -> Path:
    """Return the folder for downloads, checkpoints and trained weights: MDNBENCH_HOME, or the platform's user cache."""
    if given := os.environ.get("MDNBENCH_HOME"):
        return expanded(given)
    import platformdirs

    return Path(platformdirs.user_cache_dir("mdnbench"))


def data_folders() -> list[Path]:
    """Return the read-only folders of MDNBENCH_DATA_PATH, in order; they are searched first and never written."""
    given = os.environ.get("MDNBENCH_DATA_PATH", "")
    return [expanded(part) for part in given.split(os.pathsep) if part]


def offline() -> bool:
    """Return whether MDNBENCH_OFFLINE forbids the use of the network."""
    return os.environ.get("MDNBENCH_OFFLINE", "").lower() not in ("", "0", "false", "no")

"""Where compiled code is kept, and whether it is there. Nothing here imports numba, which takes half a second."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.util.paths import home
from mdnbench_bm3d.profiles import PROFILES

if TYPE_CHECKING:
    from mdnbench.spec.names import Value

LOCK = "mdnbench_bm3d.lock"


def prepare(options: Mapping[str, Value], now: bool) -> str | None:
    """Return what has to be done before BM3D can be built, or None; do it if `now`.

    Without a folder for compiled code nothing can be done in advance, because each process compiles anew.
    """
    profile, folder = str(options["profile"]), cache_folder()
    if options["engine"] != "own" or profile not in PROFILES or folder is None or mark(folder, profile).exists():
        return None
    if now:
        from mdnbench_bm3d import compilation

        compilation.prepare(profile)
    return "compiling bm3d, once on this machine"


@functools.cache
def cache_folder() -> Path | None:
    """Return the folder for compiled code, which is created; None if it cannot be written."""
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or home() / "numba")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()  # in a shared folder it may be somebody else's
    except OSError:
        return None
    return folder


def mark(folder: Path, profile: str) -> Path:
    """Return the file that shows that a profile was compiled: for this code, this Python and this numba."""
    digest = hashlib.sha256(f"{profile} {platform.python_version()} {metadata.version('numba')}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return folder / f"mdnbench_bm3d-{profile}-{digest.hexdigest()[:16]}.compiled"

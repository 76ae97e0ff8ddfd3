"""Describe the machine and the versions with which results are computed."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from mdnbench import __version__
from mdnbench.registry import distributions
from mdnbench.spec.records import Environment
from mdnbench.util.digests import of_parts

PACKAGES = (
    "numpy",
    "torch",
    "numba",
    "bm3d",
    "scikit-image",
    "lpips",
    "pandas",
    "pluggy",
    "scipy",
    "PyWavelets",
    "torchvision",
)


def here(device: str = "cpu") -> Environment:
    """Return what this machine and its versions are."""
    return Environment(
        mdnbench=__version__,
        revision=revision(),
        python=platform.python_version(),
        os=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        machine_id=machine_id(),
        cpu=cpu(),
        cores=cores(),
        memory_bytes=memory_bytes(),
        threads_per_cell=1,
        device=device,
        packages=versions(PACKAGES),
    )


def version_of(package: str) -> str:
    """Return the installed version of a distribution, or 'missing'."""
    return distributions.version_of(package) or "missing"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each distribution by name, or 'missing'."""
    return {name: version_of(name) for name in packages}


@cache
def cpu() -> str:
    """Return the processor's name, without the full inquiry of a library, which takes a second."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("model name", "Hardware")):
                return " ".join(line.partition(":")[2].split())
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        return done.stdout.strip()
    return platform.processor() or "unknown"


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def memory_bytes() -> int:
    """Return the size of the machine's memory in bytes."""
    if sys.platform == "linux":  # where psutil, whose import takes 20 ms, would give the same number
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.virtual_memory().total)


def machine_id() -> str:
    """Return a short digest of what makes timings comparable: processor, cores, memory in GiB, system."""
    parts = (cpu(), cores(), round(memory_bytes() / 2**30), platform.system(), platform.machine())
    return of_parts("machine", *parts)[:12]


@cache
def revision() -> str:
    """Return the source revision if this runs from a checkout, otherwise the version."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return __version__
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return __version__
    return done.stdout.strip() or __version__

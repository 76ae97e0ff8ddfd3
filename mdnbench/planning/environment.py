"""The machine and the versions that results were made with."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from mdnbench import __version__
from mdnbench.registry import distributions
from mdnbench.spec.records import Environment
from mdnbench.util.digests import of_parts

PACKAGES = ("numpy", "torch", "bm3d", "scikit-image", "lpips", "pandas", "pluggy", "scipy", "PyWavelets", "torchvision")


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
    """The installed version of a distribution, or 'missing'."""
    return distributions.version_of(package) or "missing"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed version of each distribution, or 'missing', by name."""
    return {name: version_of(name) for name in packages}


@cache
def cpu() -> str:
    """The processor's name, without the second that a full inquiry takes."""
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
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """The machine's memory."""
    import psutil

    return int(psutil.virtual_memory().total)


def machine_id() -> str:
    """A short digest of what makes timings comparable: processor, cores, memory in GiB, system."""
    parts = (cpu(), cores(), round(memory_bytes() / 2**30), platform.system(), platform.machine())
    return of_parts("machine", *parts)[:12]


@cache
def revision() -> str:
    """The source revision when this runs from a checkout, else the version."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return __version__
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return __version__
    return done.stdout.strip() or __version__

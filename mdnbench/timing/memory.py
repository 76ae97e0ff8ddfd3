"""How much memory this process holds now, and at most since it was asked to look: its own, and torch's on a GPU."""

from __future__ import annotations

import contextlib
from pathlib import Path


def resident_bytes() -> int:
    """The memory that this process holds now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def begin_peak(device: str) -> None:
    """Forget what was held at most so far, where the system lets us: Linux does, elsewhere peaks only grow."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()


def peak_bytes() -> int:
    """The most memory that this process has held since then.

    Linux tells it in /proc: what getrusage says there is handed down from the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # bytes on macOS


def device_peak_bytes(device: str) -> int | None:
    """The most memory that torch's tensors took on the GPU since then; None without one."""
    if device != "cuda":
        return None
    import torch

    return int(torch.cuda.max_memory_allocated())

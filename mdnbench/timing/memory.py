"""The memory of this process, now and at its peak since `begin_peak`: in the main memory, and of torch on a GPU."""

from __future__ import annotations

import contextlib
from pathlib import Path


def resident_bytes() -> int:
    """Return the bytes of memory that this process holds now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def begin_peak(device: str) -> None:
    """Start a new measurement of the peak memory.

    This is possible on Linux. On other systems the peak of the process is never reset.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()


def peak_bytes() -> int:
    """Return the largest number of bytes that this process held since `begin_peak`.

    On Linux the value comes from /proc, because the value of getrusage is inherited from the process that started this
    one.
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
    """Return the largest number of bytes of torch's tensors on the GPU since `begin_peak`; None without a GPU."""
    if device != "cuda":
        return None
    import torch

    return int(torch.cuda.max_memory_allocated())

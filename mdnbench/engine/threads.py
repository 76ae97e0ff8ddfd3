"""The number of threads: torch, OpenMP, BLAS and OpenCV all use one for each cell, whatever a plugin set before."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)  # fmt: skip


def prepare(count: int = 1) -> None:
    """Set the number of threads of libraries that are not loaded yet. Call it before NumPy or torch is imported."""
    for variable in VARIABLES:
        os.environ[variable] = str(count)


def hold(count: int = 1) -> None:
    """Set every loaded library to one thread, or to `count` threads if that is being timed.

    This takes microseconds if no module was imported since the last call.
    """
    import torch

    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
    for library in _libraries(len(sys.modules)).lib_controllers:
        library.set_num_threads(count)
    if cv2 := sys.modules.get("cv2"):  # no environment variable sets its number of threads
        cv2.setNumThreads(count)


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """Return the thread pools of this process. They are searched again (20 ms) when the number of modules has grown."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

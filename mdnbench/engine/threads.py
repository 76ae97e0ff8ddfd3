"""One thread for each cell: torch, OpenMP, BLAS and OpenCV alike, whatever a plugin asked of them before."""

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
    """Tell libraries that are still to be loaded; call it before NumPy or torch are imported."""
    for variable in VARIABLES:
        os.environ[variable] = str(count)


def hold(count: int = 1) -> None:
    """Bring every library that is loaded back to one thread (or to `count`, where that is what is being timed).

    It takes microseconds, where no module has come since.
    """
    import torch

    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
    for library in _libraries(len(sys.modules)).lib_controllers:
        library.set_num_threads(count)
    if cv2 := sys.modules.get("cv2"):  # it has threads of its own, which no variable reaches
        cv2.setNumThreads(count)


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """The thread pools of this process, looked for anew (20 ms) when more modules are loaded than before."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

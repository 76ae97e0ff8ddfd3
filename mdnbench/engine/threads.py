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


def prepare() -> None:
    """Tell libraries that are still to be loaded; call it before NumPy or torch are imported."""
    for variable in VARIABLES:
        os.environ[variable] = "1"


def hold() -> None:
    """Bring every library that is loaded back to one thread: microseconds, where no module has come since."""
    import torch

    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    for library in _libraries(len(sys.modules)).lib_controllers:
        library.set_num_threads(1)
    if cv2 := sys.modules.get("cv2"):  # it has threads of its own, which no variable reaches
        cv2.setNumThreads(1)


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """The thread pools of this process, looked for anew (20 ms) when more modules are loaded than before."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

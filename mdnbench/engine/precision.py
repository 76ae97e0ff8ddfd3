"""How torch computes float32 products: noted and put back, whichever of torch's two interfaces a plugin has used.

The older one (`torch.set_float32_matmul_precision`, `allow_tf32`) refuses to answer once the newer one, a backend's
`fp32_precision`, was used, which lets the older one know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

# Backends by their names in torch.backends: those that stand for several come last, and are put back first.
PLACES = (
    "cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn", "cudnn", "mkldnn", "",
)  # fmt: skip
MATMUL, TF32 = "torch.get_float32_matmul_precision", "torch.backends.cudnn.allow_tf32"
REFUSED = "unknown"


def now() -> dict[str, str]:
    """What is set, by where it is set."""
    import torch

    return {place: backend.fp32_precision for place, backend in _backends()} | {
        MATMUL: _asked(torch.get_float32_matmul_precision),
        TF32: _asked(lambda: str(torch.backends.cudnn.allow_tf32)),
    }


def restore(was: dict[str, str]) -> None:
    """Put back what was noted, in the older interface first: it writes over the newer one."""
    import torch

    if now() == was:
        return
    if was[MATMUL] != REFUSED:
        torch.set_float32_matmul_precision(was[MATMUL])
    if was[TF32] != REFUSED:
        torch.backends.cudnn.allow_tf32 = was[TF32] == "True"
    for place, backend in reversed(_backends()):
        backend.fp32_precision = was[place]


@cache
def _backends() -> list[tuple[str, Any]]:
    """The places where this torch has the newer interface, by their names."""
    import torch

    found = []
    for place in PLACES:
        backend: Any = torch.backends
        for name in place.split(".") if place else ():
            backend = getattr(backend, name, None)
        if hasattr(backend, "fp32_precision"):
            found.append((place or "torch.backends", backend))
    return found


def _asked(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except RuntimeError:
        return REFUSED

"""The precision of torch's float32 products: read it, and restore it whichever of torch's two interfaces a plugin used.

The older interface (`torch.set_float32_matmul_precision`, `allow_tf32`) raises an error once the newer one (the
`fp32_precision` of a backend) was used. The newer interface does not update the older one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

# Names in torch.backends. Those that set several backends at once come last, and are restored first.
PLACES = (
    "cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn", "cudnn", "mkldnn", "",
)  # fmt: skip
MATMUL, TF32 = "torch.get_float32_matmul_precision", "torch.backends.cudnn.allow_tf32"
REFUSED = "unknown"


def now() -> dict[str, str]:
    """Return the current settings, by the name of the place where each one is set."""
    import torch

    return {place: backend.fp32_precision for place, backend in _backends()} | {
        MATMUL: _asked(torch.get_float32_matmul_precision),
        TF32: _asked(lambda: str(torch.backends.cudnn.allow_tf32)),
    }


def restore(was: dict[str, str]) -> None:
    """Restore the settings that `now` returned.

    The older interface comes first, because it overwrites the newer one.
    """
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
    """Return the backends for which this torch has the newer interface, with their names."""
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

"""torchvision, which several packages import and few need, beside a torch that its compiled operators do not fit."""

from __future__ import annotations

import importlib
from typing import Any

_kept: list[Any] = []  # torch forgets a declared operator with the library object that declared it


def import_torchvision() -> None:
    """Import torchvision even where its compiled operators do not load, as beside a CPU-only torch.

    It then stumbles over two operators that nobody declared. Whoever uses neither can do with their declaration.
    """
    import torch

    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        operators: Any = torch.library  # untyped
        library = operators.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)
        importlib.import_module("torchvision")

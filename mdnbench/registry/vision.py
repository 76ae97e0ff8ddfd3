"""torchvision, which many packages import and few need, beside a torch that its compiled operators do not fit.

That is so where a CPU-only torch stands beside a torchvision built for another one. torchvision then stumbles over two
operators that nobody declared. Whoever uses neither can do with their declaration.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from mdnbench.registry.finders import found_behind

NAME = "torchvision"
STUMBLES = "torchvision::nms"  # what the error names
OPERATORS = ("nms", "qnms")

_kept: list[Any] = []  # torch forgets a declared operator with the library object that declared it


def import_torchvision() -> None:
    """Import torchvision, also where its compiled operators do not load."""
    mend()
    importlib.import_module(NAME)


def mend() -> None:
    """Have every import of torchvision in this process work, also where its compiled operators do not load."""
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds torchvision as everyone else does, and has it imported once more where it stumbles."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """What the finders behind this one find."""
        if name != NAME:
            return None
        spec = found_behind(self, name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Mending(spec.loader)
        return spec


class _Mending(Loader):
    """Stands in front of torchvision's own loader until it is imported."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """What the own loader makes."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Import it, and once more with the operators declared if it stumbles over them."""
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader
        try:
            self._loader.exec_module(module)
        except RuntimeError as error:
            if STUMBLES not in str(error):
                raise
            _declare()
            for name in [each for each in sys.modules if each.startswith(f"{NAME}.")]:
                del sys.modules[name]
            self._loader.exec_module(module)


def _declare() -> None:
    import torch

    operators: Any = torch.library  # untyped
    library = operators.Library(NAME, "FRAGMENT")
    for name in OPERATORS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)

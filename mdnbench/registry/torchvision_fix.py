"""Make torchvision importable with a torch that its compiled operators do not fit.

That happens if a CPU-only torch is installed with a torchvision built for another torch. torchvision then fails on two
operators that nobody has declared. Many packages import torchvision but do not use these operators; for them it is
enough to declare the operators.
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
STUMBLES = "torchvision::nms"  # the error message contains this name
OPERATORS = ("nms", "qnms")

_kept: list[Any] = []  # torch forgets a declared operator with the library object that declared it


def import_torchvision() -> None:
    """Import torchvision, even if its compiled operators cannot be loaded."""
    install_fix()
    importlib.import_module(NAME)


def install_fix() -> None:
    """Make every import of torchvision in this process succeed, even if its compiled operators cannot be loaded."""
    if not any(isinstance(each, _TorchvisionFinder) for each in sys.meta_path):
        sys.meta_path.insert(0, _TorchvisionFinder())


class _TorchvisionFinder:
    """A finder that delegates to the next finders and gives torchvision a loader that tries twice."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Return the result of the finders behind this one, for torchvision only."""
        if name != NAME:
            return None
        spec = found_behind(self, name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _TorchvisionLoader(spec.loader)
        return spec


class _TorchvisionLoader(Loader):
    """A loader that replaces torchvision's own loader until the import has succeeded."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module that torchvision's own loader creates."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module; if that fails on the missing operators, declare them and run it again."""
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

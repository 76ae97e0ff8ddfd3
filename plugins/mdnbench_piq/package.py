"""The piq package: whether it is there, and its import."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from mdnbench import Unavailable
from mdnbench.registry.vision import import_torchvision

INSTALL = "pip install 'mdnbench[metrics]'"
NOTE = f"the piq package is not installed; install it with: {INSTALL}."
PACKAGES = ("piq", "torch")


def missing() -> str | None:
    """Why nothing of piq can be computed here, without importing it; None where it can."""
    return None if importlib.util.find_spec("piq") else NOTE


def load() -> Any:
    """The package itself; Unavailable where it is not installed. It imports torchvision, but uses no operator of it."""
    if reason := missing():
        raise Unavailable(reason)
    import_torchvision()
    return importlib.import_module("piq")

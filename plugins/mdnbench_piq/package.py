"""The import of the piq package, if it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from mdnbench import Unavailable
from mdnbench.registry.torchvision_fix import import_torchvision

INSTALL = "pip install 'mdnbench[metrics]'"
NOTE = f"the piq package is not installed; install it with: {INSTALL}."
PACKAGES = ("piq", "torch")


def missing() -> str | None:
    """Return the reason why no metric of piq can be computed here, or None. piq is not imported."""
    return None if importlib.util.find_spec("piq") else NOTE


def load() -> Any:
    """Return the imported package. It imports torchvision, but uses none of its operators.

    Raises:
        Unavailable: piq is not installed.
    """
    if reason := missing():
        raise Unavailable(reason)
    import_torchvision()
    return importlib.import_module("piq")

"""Support for import finders that precede Python's own in `sys.meta_path`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any


def found_behind(finder: object, name: str, path: Sequence[str] | None, target: Any) -> ModuleSpec | None:
    """Return the spec that the finders behind this one in `sys.meta_path` find for a module, or None."""
    finders = list(sys.meta_path)
    behind = finders[finders.index(finder) + 1 :] if finder in finders else finders
    for each in behind:
        find = getattr(each, "find_spec", None)
        spec: ModuleSpec | None = find(name, path, target) if find else None
        if spec is not None:
            return spec
    return None

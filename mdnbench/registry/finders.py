"""What the finders of `sys.meta_path` share that stand in front of Python's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any


def found_behind(finder: object, name: str, path: Sequence[str] | None, target: Any) -> ModuleSpec | None:
    """Return what the finders of `sys.meta_path` behind this one find."""
    finders = list(sys.meta_path)
    behind = finders[finders.index(finder) + 1 :] if finder in finders else finders
    for each in behind:
        find = getattr(each, "find_spec", None)
        spec: ModuleSpec | None = find(name, path, target) if find else None
        if spec is not None:
            return spec
    return None

"""Functions that a spec names and that are imported when they are first called."""

from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path

import pytest

import mdnbench


def test_the_module_is_imported_with_the_first_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming a function imports nothing; calling it, or asking for its arguments, does."""
    (tmp_path / "named_later.py").write_text("def add(a, *, b=1):\n    return a + b\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    add = mdnbench.deferred("named_later:add")
    assert "named_later" not in sys.modules
    assert functools.partial(add, b=2)(3) == 5
    assert "named_later" in sys.modules
    assert list(inspect.signature(add).parameters) == ["a", "b"]
    monkeypatch.delitem(sys.modules, "named_later")


@pytest.mark.parametrize(
    "target", ["build", "package.module", "package:", ":build", "a-b:build", "package:module.build"]
)
def test_another_form_is_refused(target: str) -> None:
    """The message shows the form."""
    with pytest.raises(ValueError, match=r"write it as 'my_package\.network:build'"):
        mdnbench.deferred(target)

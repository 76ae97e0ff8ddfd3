"""The examples on the page about wrappers keep every rule that a method has to keep."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from mdnbench.testing import rules

PAGE = Path(__file__).resolve().parents[2] / "docs" / "wrappers.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def example(folder: Path, call: str) -> Path:
    """The page's example of a wrapper as a file, to the letter."""
    (text,) = (each for each in EXAMPLES if f"{call}(" in each)
    path = folder / f"{call}_example.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.full
@pytest.mark.parametrize("call", ["wrap_numpy", "wrap_torch", "wrap_deepinv"])
def test_an_example_keeps_every_rule(tmp_path: Path, shipped_file: Path, call: str) -> None:
    """What the page prints passes `mdnbench plugin check`: nothing is broken, and what is skipped lacks its file."""
    if call == "wrap_deepinv" and importlib.util.find_spec("deepinv") is None:
        pytest.skip("deepinv is in the extra 'deepinv'")
    path = example(tmp_path, call)
    if call == "wrap_torch":
        from safetensors.torch import load_file
        from torch import save

        save(load_file(shipped_file), tmp_path / "my-weights.pth")
    known, subjects = rules.load(path)
    findings = rules.check(subjects, known)
    assert [str(each) for each in findings if each.state == "broken"] == []
    kept = {each.subject.name for each in findings if each.state == "kept" and each.rule == "determinism-order"}
    assert kept == {each.name for each in subjects} - {"dinv-drunet"}

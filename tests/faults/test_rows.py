"""The table of faults: each has its number, and each number a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_row_of_the_table_has_its_test() -> None:
    """The page on reliability lists faults 1 to 61, and the test that it names for each exists under that number."""
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    there = set(re.findall(r"^def (test_fault_\d\d_\w+)", "\n".join(tests), re.MULTILINE))
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\| `(test_fault_(\d\d)_\w+)` \|$", page, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 62)), (
        "docs/reliability.md: each fault has one row, | number | fault | result | `test_fault_NN_name` |, in order; "
        "for a new fault add its row, and raise the number in this test"
    )
    for number, name, digits in rows:
        assert int(number) == int(digits), f"docs/reliability.md: row {number} names {name}, a test of another fault"
        assert name in there, (
            f"docs/reliability.md, row {number}: there is no {name} under tests/; write the test's new name"
        )

"""`cells.csv`: one line per cell, numbers in full, names kept from being taken for formulas."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mdnbench.util import atomic

if TYPE_CHECKING:
    from mdnbench.results import Results

_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # quotes of its own too: who reads the table takes one away


def write(results: Results, folder: Path) -> Path:
    """Write `cells.csv` and return its path."""
    path = folder / "cells.csv"
    with atomic.replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(_CsvFile(file))
        columns = results.columns
        writer.writerow(columns)
        for record in results.records():
            writer.writerow([_plain(record[column]) for column in columns])
    return path


class _CsvFile:
    """A file for the csv module, which quotes no sign that its line end lacks: told of both, it quotes both."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        """Write a line that ends as RFC 4180 says, with the line end that all our files have."""
        return self._file.write(line.removesuffix("\r\n") + "\n")


def _plain(value: Any) -> Any:
    """A value as text; a name that a spreadsheet would run as a formula gets a quote in front."""
    if isinstance(value, str):
        safe = value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
        return f"'{safe}" if _FORMULA.match(safe) else safe
    return repr(value) if isinstance(value, float) else value

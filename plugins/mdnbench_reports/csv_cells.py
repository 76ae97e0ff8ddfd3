"""Write `cells.csv`: a line per cell, numbers at full precision, and names protected from being read as formulas."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mdnbench.util import atomic

if TYPE_CHECKING:
    from mdnbench.results import Results

_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # also after quotes of its own, because whoever reads the table removes one


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
    """A file for the csv module that replaces its line ends.

    The csv module quotes a carriage return or newline in a field only if its own line end contains that character. So
    the module keeps its line end, which contains both, and this file replaces it.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        """Write a line that ends as in RFC 4180, but with the line end of all files of mdnbench."""
        return self._file.write(line.removesuffix("\r\n") + "\n")


def _plain(value: Any) -> Any:
    """Return a value as text; a name that a spreadsheet would execute as a formula gets a quote in front."""
    if isinstance(value, str):
        safe = value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
        return f"'{safe}" if _FORMULA.match(safe) else safe
    return repr(value) if isinstance(value, float) else value

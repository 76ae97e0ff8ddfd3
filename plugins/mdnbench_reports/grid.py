"""A table of texts, as several sections of a page show one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"[+−-]?[\d.]+|[+−-]?∞|–")


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts: its title, headings, rows, and the sentences that stand below it."""

    title: str
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    @property
    def numeric(self) -> frozenset[int]:
        """The columns that hold numbers alone, which are set right."""
        columns = enumerate(set(texts) for texts in zip(*self.rows, strict=True))
        return frozenset(at for at, texts in columns if texts != {"–"} and all(map(_NUMBER.fullmatch, texts)))

"""Tables as LaTeX with booktabs, for a paper: best in bold, second underlined, minor columns left out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from mdnbench.results.table import Cell, Table

PREAMBLE = "% Needs \\usepackage{booktabs} (and \\usepackage[T1]{fontenc} with pdfLaTeX)."
WIDE = 6  # with this many columns a table is set small, to fit the column of an article

_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
    "–": "--", "—": "---", "‐": "-", "‑": "-", "“": "``", "”": "''", "‘": "`", "’": "'", "…": r"\dots{}",
    "•": r"\textbullet{}", "€": r"\texteuro{}", "™": r"\texttrademark{}",
    **{letter: f"\\{letter}" for letter in "{}$&#%_"},
}  # fmt: skip
_SMALL = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho varsigma sigma tau upsilon "
    "varphi chi psi omega vartheta phi epsilon"
)
_CAPITAL = "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
_MATH = {
    "−": "-", "∕": "/", "∗": "*", "∼": r"\sim", "·": r"\cdot", "⋅": r"\cdot", "×": r"\times", "∘": r"\circ",
    "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "≈": r"\approx", "≃": r"\simeq", "≅": r"\cong", "≡": r"\equiv",
    "≪": r"\ll", "≫": r"\gg", "∝": r"\propto", "∞": r"\infty", "∂": r"\partial", "∇": r"\nabla", "∆": r"\Delta",
    "∑": r"\sum", "∏": r"\prod", "∫": r"\int", "√": r"\surd", "∈": r"\in", "∉": r"\notin", "∅": r"\emptyset",
    "∩": r"\cap", "∪": r"\cup", "⊂": r"\subset", "⊆": r"\subseteq", "⊕": r"\oplus", "⊗": r"\otimes", "∥": r"\parallel",
    "∀": r"\forall", "∃": r"\exists", "ℓ": r"\ell", "′": "'", "″": "''", "↑": r"\uparrow", "↓": r"\downarrow",
    "→": r"\rightarrow", "←": r"\leftarrow", "↔": r"\leftrightarrow", "⇒": r"\Rightarrow", "⇔": r"\Leftrightarrow",
    **{letter: rf"\{name}" for letter, name in zip("αβγδεζηθικλμνξπρςστυφχψωϑϕϵ", _SMALL.split(), strict=True)},
    **{letter: rf"\{name}" for letter, name in zip("ΓΔΘΛΞΠΣΥΦΨΩ", _CAPITAL.split(), strict=True)},
    **dict(zip("οΑΒΕΖΗΙΚΜΝΟΡΤΧ", (rf"\mathrm{{{letter}}}" for letter in "oABEZHIKMNOPTX"), strict=True)),
    **{letter: f"^{{{digit}}}" for letter, digit in zip("⁰⁴⁵⁶⁷⁸⁹⁺⁻", "0456789+-", strict=True)},
    **{letter: f"_{{{digit}}}" for letter, digit in zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True)},
}  # fmt: skip
_SIGNS = {**_SPECIAL, **{letter: f"${name}$" for letter, name in _MATH.items()}}
_LAST = "\u017f"  # pdfLaTeX's fonts T1 and TS1 have the letters up to this one, except _LACKS, and those in _HAS
_LACKS, _HAS = frozenset("ĦħĸĿŀŉŦŧſ"), frozenset("ȘșȚț")


def render(table: Table, label: str = "table") -> str:
    """Return a table as a LaTeX float, with its notes below it in small print."""
    return side_by_side([table], table.caption, label, table.notes)


def side_by_side(tables: Sequence[Table], caption: str, label: str, notes: Sequence[str]) -> str:
    """Return several tables with the same columns as one float, next to each other.

    Args:
        tables: The tables. There is a row for each name, in the order of the first table.
        caption: The caption of the float.
        label: The label; letters that LaTeX does not allow in labels are replaced.
        notes: The notes below the tables.

    """
    shown = [table.without_minor() for table in tables]
    safe = re.sub(r"[^a-zA-Z0-9.-]+", "-", label)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape(caption)}}}", rf"\label{{tab:{safe}}}"]
    lines += _tabular(shown)
    lines += [rf"\par\smallskip\footnotesize {escape(note)}" for note in notes]
    return "\n".join([*lines, r"\end{table}"])


def escape(text: str) -> str:
    """Return a text in one line in which LaTeX reads nothing as a command.

    Mathematical and Greek letters become formulas. Letters that pdfLaTeX does not have become question marks.
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in unicodedata.normalize("NFC", text))
    return "".join(map(_sign, " ".join(plain.split())))


def _sign(letter: str) -> str:
    """Return one letter as LaTeX."""
    if letter in _SIGNS:
        return _SIGNS[letter]
    return letter if letter in _HAS or (letter <= _LAST and letter not in _LACKS) else "?"


def _tabular(tables: Sequence[Table]) -> Iterator[str]:
    """Yield the lines of a tabular; above several tables, each caption spans the columns of its table."""
    names, columns = tables[0].columns[0], [column for table in tables for column in table.columns[1:]]
    if len(columns) + 1 >= WIDE:
        yield r"\small\setlength{\tabcolsep}{2.5pt}"
    alignment = "".join("l" if column.words else "r" for column in (names, *columns))
    yield from (rf"\begin{{tabular}}{{{alignment}}}", r"\toprule")
    if len(tables) > 1:
        yield from _captions(tables)
    yield _row([escape(column.title) for column in (names, *columns)])
    yield from (r"\midrule", *map(_row, _rows(tables)), r"\bottomrule", r"\end{tabular}")


def _captions(tables: Sequence[Table]) -> Iterator[str]:
    """Yield the captions of tables that are next to each other, and a rule below each."""
    width = len(tables[0].columns) - 1
    yield _row(["", *(rf"\multicolumn{{{width}}}{{c}}{{{escape(table.caption)}}}" for table in tables)])
    spans = (f"{2 + width * index}-{1 + width * (index + 1)}" for index in range(len(tables)))
    yield " ".join(rf"\cmidrule(lr){{{span}}}" for span in spans)


def _rows(tables: Sequence[Table]) -> Iterator[list[str]]:
    """Yield the rows of tables next to each other; a single table may have two rows of the same name."""
    if len(tables) == 1:
        yield from ([_marked(cell) for cell in row] for row in tables[0].rows)
        return
    by_name = [{row[0].text: row[1:] for row in table.rows} for table in tables]
    width = len(tables[0].columns) - 1
    for name in dict.fromkeys(name for rows in by_name for name in rows):
        cells = [_marked(cell) for rows in by_name for cell in rows.get(name, [Cell("–")] * width)]
        yield [escape(name), *cells]


def _row(texts: Sequence[str]) -> str:
    """Return a row of a tabular."""
    return " & ".join(texts) + r" \\"


def _marked(cell: Cell) -> str:
    """Return the text of a cell, in bold or underlined according to its mark."""
    text = escape(cell.text)
    if cell.mark in ("best", "worse"):
        return rf"\textbf{{{text}}}"
    return rf"\underline{{{text}}}" if cell.mark == "second" else text

"""`tables.tex`: the tables for a paper, with booktabs; best in bold, second underlined."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.results import tables
from mdnbench.util import atomic
from mdnbench_reports import timings

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.tables import Column, Line, Table
    from mdnbench_reports.grid import Grid

SIDE_BY_SIDE = 3  # noises in one table
ACROSS = 6  # columns of numbers that an article's page holds
WIDE = 6  # columns from which on a table is set small, to fit the column of an article

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
_LAST = "\u017f"  # up to here pdfLaTeX has letters in the fonts of T1 and TS1, but for a few, and beyond it four
_LACKS, _HAS = frozenset("ĦħĸĿŀŉŦŧſ"), frozenset("ȘșȚț")


def write(results: Results, folder: Path) -> Path:
    """Write `tables.tex` and return its path."""
    path = folder / "tables.tex"
    atomic.write(path, text_of(results))
    return path


def text_of(results: Results) -> str:
    """All tables of a run as LaTeX that needs the package booktabs."""
    parts = ["% Needs \\usepackage{booktabs} (and \\usepackage[T1]{fontenc} with pdfLaTeX)."]
    columns = len(results.metrics) or 1
    step = max(1, min(SIDE_BY_SIDE, ACROSS // columns))
    for first in range(0, len(results.tables), step):
        parts.append(_float(results, results.tables[first : first + step], first // step))
    timed = [grid for grid in (*timings.of(results), *timings.against_quality(results)) if grid.rows]
    parts += [_timing(results.name, grid, number) for number, grid in enumerate(timed, start=1)]
    return "\n\n".join(parts) + "\n"


def _timing(name: str, grid: Grid, number: int) -> str:
    titles = [escape(title) for title in grid.titles]
    body = _tabular([titles], [[*map(escape, row)] for row in grid.rows], "l" + "r" * (len(titles) - 1))
    return _wrapped(body, grid.title, f"{name}-timing-{number}", grid.notes)


def escape(text: str) -> str:
    """A text with everything that LaTeX would take for a command made plain, in one line.

    Mathematical and Greek letters are set as formulas; what pdfLaTeX has no letter for becomes a question mark.
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in unicodedata.normalize("NFC", text))
    return "".join(map(_sign, " ".join(plain.split())))


def _sign(letter: str) -> str:
    if letter in _SIGNS:
        return _SIGNS[letter]
    return letter if letter in _HAS or (letter <= _LAST and letter not in _LACKS) else "?"


def _float(results: Results, group: Sequence[Table], number: int) -> str:
    """Tables of several noises side by side: a line per method, in the order of the first."""
    methods = list(dict.fromkeys(line.method for table in group for line in table.lines))
    rows = [[escape(method), *(text for table in group for text in _cells(table, method))] for method in methods]
    columns = group[0].columns
    titles = ["Method", *(escape(column.title) for _ in group for column in columns)]
    heads = [titles] if len(group) == 1 else [_spanning(group), titles]
    noises = ", ".join(table.noise for table in group)
    caption = f"Means under {noises}; {'; '.join(tables.heading(results.run))}."
    named = [(f"{table.noise}: " if len(group) > 1 else "", note) for table in group for note in table.notes]
    notes = [*(where + note for where, note in named), *tables.footnotes(results.run)]
    body = _tabular(heads, rows, "l" + "r" * (len(titles) - 1), _rules(group))
    return _wrapped(body, caption, f"{results.name}-{number + 1}", notes)


def _spanning(group: Sequence[Table]) -> list[str]:
    return ["", *(rf"\multicolumn{{{len(table.columns)}}}{{c}}{{{escape(table.noise)}}}" for table in group)]


def _rules(group: Sequence[Table]) -> str:
    width = len(group[0].columns)
    spans = (f"{2 + width * index}-{1 + width * (index + 1)}" for index in range(len(group)))
    return " ".join(rf"\cmidrule(lr){{{span}}}" for span in spans)


def _cells(table: Table, method: str) -> Iterator[str]:
    line = next((line for line in table.lines if line.method == method), None)
    for column in table.columns:
        yield _mark(line, column) if line else "--"


def _mark(line: Line, column: Column) -> str:
    text = escape(column.show(line.means[column.metric]))
    if column.metric in line.best:
        return rf"\textbf{{{text}}}"
    return rf"\underline{{{text}}}" if column.metric in line.second else text


def _tabular(heads: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], columns: str, rules: str = "") -> str:
    small = [r"\small\setlength{\tabcolsep}{2.5pt}"] if len(columns) >= WIDE else []
    lines = [*small, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _row(heads[0])]
    for head in heads[1:]:
        lines += [rules, _row(head)]
    lines += [r"\midrule", *map(_row, rows), r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines)


def _row(texts: Sequence[str]) -> str:
    return " & ".join(texts) + r" \\"


def _wrapped(body: str, caption: str, label: str, notes: Sequence[str]) -> str:
    safe = re.sub(r"[^a-zA-Z0-9.-]+", "-", label)
    below = [rf"\par\smallskip\footnotesize {escape(note)}" for note in notes]
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape(caption)}}}", rf"\label{{tab:{safe}}}", body, *below]
    return "\n".join([*lines, r"\end{table}"])

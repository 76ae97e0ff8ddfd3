"""Tables as LaTeX: minor columns are left out, tables stand side by side, and no name is a command."""

from __future__ import annotations

import re

import pytest

from mdnbench.results.render import latex
from mdnbench.results.table import Cell, Column, Table, words

HOSTILE = (r"\input{/etc/passwd}", "a & b", "50 %", "$x$", "{", "}", r"\\", "new\nline", "#1", "~^_", "\x1b[31mred")


def table(noise: str, **values: Cell | float | None) -> Table:
    """The means of a noise, with a count that no paper needs."""
    columns = (words("Method"), Column("psnr", "higher", "dB", 2), Column("Cells", minor=True))
    return Table.of(noise, columns, [[name, value, 12] for name, value in values.items()], [f"{noise} is hard"])


def test_a_table_is_a_float_with_booktabs() -> None:
    """Marked cells keep their marks, the minus is a formula's, and notes stand below in small print."""
    text = latex.render(table("n", a=Cell("30.00", 30.0, "best"), b=Cell("9.00", 9.0, "second"), c=-1.5), "my run/1")
    assert text.splitlines() == [
        r"\begin{table}", r"\centering", r"\caption{n}", r"\label{tab:my-run-1}", r"\begin{tabular}{lr}", r"\toprule",
        r"Method & PSNR dB $\uparrow$ \\", r"\midrule", r"a & \textbf{30.00} \\", r"b & \underline{9.00} \\",
        r"c & $-$1.50 \\", r"\bottomrule", r"\end{tabular}", r"\par\smallskip\footnotesize n is hard", r"\end{table}",
    ]  # fmt: skip


def test_tables_stand_side_by_side() -> None:
    """A row for each name of any of them; what one of them lacks is a dash."""
    text = latex.side_by_side([table("n", a=1.0, b=2.0), table("m", b=3.0, c=4.0)], "both", "x", ["a note"])
    assert r" & \multicolumn{1}{c}{n} & \multicolumn{1}{c}{m} \\" in text
    assert r"\cmidrule(lr){2-2} \cmidrule(lr){3-3}" in text
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    rows = [line.removesuffix(r" \\") for line in body.strip().splitlines()]
    assert rows == ["a & 1.00 & --", "b & 2.00 & 3.00", "c & -- & 4.00"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_a_command(name: str) -> None:
    """Braces pair, a row has its one ampersand, and each row is a line."""
    hostile = Table.of(name, (words(name), Column(name)), [[name, name]], [name])
    lines = latex.render(hostile, name).splitlines()
    bare = re.sub(r"\\[{}$&#%_\\]", "", "\n".join(lines))
    assert bare.count("{") == bare.count("}")
    rows = [line for line in lines if line.endswith(r" \\")]
    assert [len(re.findall(r"(?<!\\)&", line)) for line in rows] == [1, 1]
    known = re.compile(r"\\text[a-z]+\{\}|\\[{}$&#%_]|\$[^$]+\$")
    assert not [line for line in rows if set(known.sub("", line.removesuffix(r" \\"))) & set("\\{}$#%_^~\n")]

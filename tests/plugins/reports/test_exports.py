"""Every export gives the numbers back, and takes any name as text."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import PIL.Image
import pytest

from mdnbench import api
from mdnbench.analysis.regression import baselines
from mdnbench.errors import UsageError
from mdnbench.results import Results
from mdnbench.results.render import latex as rendered
from mdnbench_reports import (
    csv_cells,
    latex,
    markdown,
    parquet,
)


def _expected(found: Results) -> dict[tuple[str, str, str], str]:
    """The means by noise, method and metric, at the digits that each metric's facts allow."""
    digits = {name: facts.digits for name, facts in found.run.facts.metric_facts.items()}
    return {
        (row.noise, row.method, metric): f"{mean:.{digits[metric]}f}"
        for row in found.means
        for metric, mean in row.means.items()
        if mean is not None
    }


def test_markdown_gives_its_numbers_back(finished: Results) -> None:
    """Every mean stands in table.md with the digits of its metric, and no more."""
    found, noise = {}, ""
    for line in markdown.text_of(finished).splitlines():
        if line.startswith("## "):
            noise = line[3:].replace("\\", "")
        elif line.startswith("|") and not line.startswith(("|-", "| -", "| Method")):
            method, psnr, ssim, *_ = [re.sub(r"[*\\]|</?u>", "", cell).strip() for cell in line.strip("|").split("|")]
            found |= {(noise, method, "psnr"): psnr, (noise, method, "ssim"): ssim}
    assert found == _expected(finished)


def test_latex_gives_its_numbers_back(finished: Results) -> None:
    """Every mean stands in tables.tex with the digits of its metric; best and second are marked as in the tables."""
    text = latex.text_of(finished)
    noises = re.findall(r"\\multicolumn\{2\}\{c\}\{(.*?)\}", text)
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    found = {}
    for line in body.strip().splitlines():
        method, *cells = [cell.strip() for cell in line.removesuffix(r"\\").split("&")]
        plain = [re.sub(r"\\(?:textbf|underline)\{(.*?)\}", r"\1", cell) for cell in cells]
        names = ((noise, metric) for noise in noises for metric in finished.metrics)
        found |= {(noise, method, metric): value for (noise, metric), value in zip(names, plain, strict=True)}
    assert found == _expected(finished)
    best = [cell for table in finished.tables for row in table.rows for cell in row if cell.mark == "best"]
    assert text.count(r"\textbf{") == len(best) > 0


BROKEN = """
def denoise(noisy, noise):
    raise RuntimeError("always")

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("broken", "1", "broken", lambda options, device, weights: denoise)]
"""


def test_latex_holds_no_more_noises_than_a_page_is_wide(plugin: Callable[..., Path]) -> None:
    """Of four noises, three stand side by side with two metrics, two with three; notes say which noise they are of."""
    keys: dict[str, Any] = {
        "methods": "noisy,broken", "noise": ["gaussian:5", "gaussian:15", "gaussian:25", "salt-pepper:0"],
        "dataset": "sk12", "images": "01", "timing": False, "jobs": 1, "plugins": [plugin(BROKEN)],
    }  # fmt: skip
    for metrics, noises in (("psnr,ssim", 3), ("psnr,ssim,ssim[uniform]", 2)):
        text = latex.text_of(api.run(**keys, metrics=metrics.split(","), out=f"wide-{noises}"))
        assert text.partition(r"\end{table}")[0].count(r"\multicolumn") == noises
        assert "salt-pepper:density=0: broken: 1 of 1 cells are missing" in text or noises == 3


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_is_set_without_complaint(finished: Results, hostile: Results, tmp_path: Path) -> None:
    """LaTeX itself takes the tables, hostile names too; those of a usual run fit the page."""
    for name, results in (("usual", finished), ("hostile", hostile)):
        latex.write(results, tmp_path)
        document = (r"\documentclass{article}", r"\usepackage{booktabs}", r"\usepackage[T1]{fontenc}",
                    r"\begin{document}", r"\input{tables}", r"\end{document}")  # fmt: skip
        (tmp_path / f"{name}.tex").write_text("\n".join(document), encoding="utf-8")
        command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", f"{name}.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode("utf-8", "replace")
        assert (tmp_path / f"{name}.pdf").stat().st_size > 5_000
        assert name == "hostile" or b"Overfull" not in done.stdout, done.stdout.decode("utf-8", "replace")


def test_latex_takes_names_as_text(hostile: Results) -> None:
    """Nothing in a name is a command: special letters are escaped, braces pair, and rows have their columns."""
    text = latex.text_of(hostile)
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip()
    assert r"\textless{}img src=x onerror=alert(1)\textgreater{}" in body
    assert r"a[x=\textbackslash{}input\{b\}]\_\$\%\&\#\textasciitilde{}\textasciicircum{}\{\textbar{}" in body
    bare = re.sub(r"\\[{}$&#%_\\]", "", text)
    assert bare.count("{") == bare.count("}")
    for line in body.splitlines():
        assert len(re.findall(r"(?<!\\)&", line)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("σ ≥ 25", r"$\sigma$ $\geq$ 25"),
        ("≤ ≈ −∞", r"$\leq$ $\approx$ $-$$\infty$"),
        ("ΔE Ω Αο", r"$\Delta$E $\Omega$ $\mathrm{A}$$\mathrm{o}$"),
        ("10⁻⁶ x₂", r"10$^{-}$$^{6}$ x$_{2}$"),
        ("“a” — b…", r"``a'' --- b\dots{}"),
        ("é ± µ ½ ß Ș", "é ± µ ½ ß Ș"),
        ("降噪 ħ 😀 ά", "?? ? ? ?"),
        ("a_b & 5 %", r"a\_b \& 5 \%"),
    ],
)
def test_latex_has_a_letter_for_every_sign(text: str, expected: str) -> None:
    """Where pdfLaTeX would stop for want of a letter, a formula stands for it, or a question mark."""
    assert rendered.escape(text) == expected


def test_csv_gives_its_numbers_back(finished: Results, hostile: Results, tmp_path: Path, nasty: Any) -> None:
    """cells.csv holds every value to the last bit, and no cell that a spreadsheet would run."""
    api.report(finished, ["csv"], folder=tmp_path / "one")
    with (tmp_path / "one" / "cells.csv").open(encoding="utf-8", newline="") as file:
        read = [(row["image"], row["noise"], row["method"], float(row["psnr"])) for row in csv.DictReader(file)]
    assert read == [(row.image, row.noise, row.method, row.value("psnr")) for row in finished.rows()]
    api.report(hostile, ["csv"], folder=tmp_path / "two")
    with (tmp_path / "two" / "cells.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"].removeprefix("'") for row in rows} == {nasty.evil, nasty.worse, nasty.formula}
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "@"))]


NAMES = ("=q", "'=q", "''=q", "-1", "'@x", "'\tx", "'q", "''", "q'=", "it's")


@pytest.mark.parametrize("name", NAMES)
def test_csv_names_come_back(name: str) -> None:
    """A name that begins with quotes and then as a formula is not the name without one of them."""
    written = csv_cells._plain(name)
    assert baselines._named(written) == name
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert len({csv_cells._plain(each) for each in NAMES}) == len(NAMES)


def test_parquet_gives_its_cells_back(finished: Results, tmp_path: Path) -> None:
    """cells.parquet is the table of cells, types and all."""
    pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    import pandas

    (path,) = api.report(finished, ["parquet"], folder=tmp_path)
    pandas.testing.assert_frame_equal(pandas.read_parquet(path), finished.cells)


def test_parquet_says_what_it_lacks(finished: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow the message names the extra to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"mdnbench\[parquet\]"):
        parquet.write(finished, tmp_path)


def test_json_gives_its_means_back(finished: Results, tmp_path: Path) -> None:
    """run.json holds every mean to the last bit."""
    (path,) = api.report(finished, ["json"], folder=tmp_path)
    means = json.loads(path.read_text(encoding="utf-8"))["means"]
    assert [(each["method"], each["psnr"]) for each in means] == [
        (row.method, row.means["psnr"]) for row in finished.means
    ]


def test_every_figure_is_written_in_three_formats(hostile: Results, tmp_path: Path) -> None:
    """A chart is one SVG, one PDF and one PNG, whatever the methods are called; files have plain names."""
    (folder,) = api.report(hostile, ["figures"], folder=tmp_path)
    names = {path.stem for path in folder.iterdir()}
    assert names == {"boxes-psnr-gaussian-25", "pareto-psnr-gaussian-25"}
    for name in names:
        assert ElementTree.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF-")
        with PIL.Image.open(folder / f"{name}.png") as image:
            assert image.width > 600

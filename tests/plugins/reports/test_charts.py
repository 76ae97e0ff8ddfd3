"""Charts of means: every number in its method's row, and no mean over some images held against a whole one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mdnbench.results import tables
from mdnbench.results.table import Cell, CellMark, Column, Table
from mdnbench_reports import heat_map, pareto

PSNR = Column("psnr", "higher", "dB", 2)


def table(noise: str, *lines: tuple[str, Cell, float]) -> Table:
    """The table of a noise, with these lines."""
    return Table.of(noise, (tables.METHOD, PSNR, tables.SECONDS), lines)


def line(method: str, mean: float, mark: CellMark = "") -> tuple[str, Cell, float]:
    """A method's line with a mean over both of its cells, unless the mark says otherwise, and its seconds."""
    return method, PSNR.cell(mean, mark), 1.0


def squares(*found: Table) -> tuple[list[str], dict[tuple[str, str], Mapping[str, Any]]]:
    """The methods down the side of a heat map, and its squares by method and noise."""
    drawn = heat_map.drawing(found, PSNR)
    domain = drawn["encoding"]["y"]["scale"]["domain"]
    return domain, {(each["method"], each["noise"]): each for each in drawn["data"]["values"]}


def test_a_heat_map_has_a_row_for_every_method_of_any_noise() -> None:
    """A method that an interrupted run has under the second noise alone gets a row and a label of its own."""
    rows, drawn = squares(table("gaussian:sigma=25", line("a", 30.0)),
                          table("gaussian:sigma=50", line("late", 28.0), line("a", 27.0)))  # fmt: skip
    assert rows == ["a", "late"]
    assert {method for method, _ in drawn} == set(rows)


def test_a_heat_map_is_scaled_by_whole_means() -> None:
    """A mean over the easy images alone takes no colour from the others, and infinite ones are at their own end."""
    lines = [line("good", 30.0), line("bad", 20.0), line("easy", 40.0, "partial"),
             line("hopeless", -math.inf), line("perfect", math.inf)]  # fmt: skip
    _, drawn = squares(table("gaussian:sigma=25", *lines))
    near = {method: square["near"] for (method, _), square in drawn.items()}
    assert near == {"good": 1, "bad": 0, "easy": 1, "hopeless": 0, "perfect": 1}
    assert drawn["hopeless", "gaussian:25"]["shown"] == "−∞"


def test_quality_against_time_is_of_whole_means() -> None:
    """A method that was perfect or had no score on some images is no point, although all its cells are ok."""
    drawn = pareto._timed(PSNR, table("n", line("whole", 30.0), line("lucky", 40.0, "partial")), None)
    assert [row["method"] for row in drawn] == ["whole"]

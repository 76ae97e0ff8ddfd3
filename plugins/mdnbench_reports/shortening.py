"""Shortening: what a page leaves out of the tables of a very large run, so that it stays below its size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdnbench.results.tables import Table
    from mdnbench_reports.grid import Grid


def shortened(context: dict[str, Any], most: int) -> dict[str, Any]:
    """The tables of a page with at most `most` lines in each section, and how many lines those were that went."""
    most = max(1, most)
    short: dict[str, Any] = {
        "tables": _tables(context["tables"], most),
        "comparisons": _grids(context["comparisons"], most),
        "told": _grid(context["told"], most),
        "timing": _grids(context["timing"], most),
        "standing": _grids(context["standing"], most),
        "claims": _section(context["claims"], most),
        "provenance": _section(context["provenance"], most),
        "footnotes": context["footnotes"][:most],
        "problems": context["problems"][:most],
    }
    return short | {"lines_left_out": _lines(context) - _lines(context | short)}


def _tables(tables: Iterable[tuple[int, Table]], most: int) -> list[tuple[int, Table]]:
    kept = []
    for noise, table in tables:
        if most > 0:
            kept.append((noise, replace(table, lines=table.lines[:most], notes=table.notes[:most])))
            most -= len(table.lines)
    return kept


def _grids(grids: Iterable[Grid], most: int) -> list[Grid]:
    kept = []
    for grid in grids:
        if most > 0:
            kept.append(replace(grid, rows=grid.rows[:most], notes=grid.notes[:most]))
            most -= len(grid.rows)
    return kept


def _grid(grid: Grid | None, most: int) -> Grid | None:
    return _grids([grid], most)[0] if grid else None


def _section(section: Any, most: int) -> Any:
    return replace(section, grids=_grids(section.grids, most)) if section else None


def _lines(context: dict[str, Any]) -> int:
    """How many lines the tables have."""
    grids = [*context["comparisons"], *context["timing"], *context["standing"]]
    grids += [context["told"]] if context["told"] else []
    for section in (context["claims"], context["provenance"]):
        grids += section.grids if section else []
    return sum(len(table.lines) for _, table in context["tables"]) + sum(len(grid.rows) for grid in grids)

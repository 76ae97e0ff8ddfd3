"""Shorten the tables of a very large run, because its page must stay below a size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from mdnbench.results.table import Table


def shortened(context: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Return the tables of a page with at most `most` lines in each section, and the number of lines left out."""
    most = max(1, most)
    noises = [noise for noise, _ in context["tables"]]
    families = _shortened([table for family in context["comparisons"] for table in family], most)
    short: dict[str, Any] = {
        "tables": list(zip(noises, _shortened([table for _, table in context["tables"]], most), strict=False)),
        "comparisons": list(_regrouped(context["comparisons"], families)),
        "told": context["told"].shorten(most) if context["told"] else None,
        "timing": _shortened(context["timing"], most),
        "standing": _shortened(context["standing"], most),
        "claims": _section(context["claims"], most),
        "provenance": _section(context["provenance"], most),
        "footnotes": context["footnotes"][:most],
        "problems": context["problems"].shorten(most),
    }
    return short | {"lines_left_out": _lines(context) - _lines({**context, **short})}


def _shortened(tables: Iterable[Table], most: int) -> list[Table]:
    """Return tables with at most `most` lines in all."""
    kept = []
    for table in tables:
        if most > 0:
            kept.append(table.shorten(most))
            most -= len(table.rows)
    return kept


def _regrouped(families: Iterable[list[Table]], kept: list[Table]) -> Iterator[list[Table]]:
    """Yield the shortened tables in the groups to which they belong."""
    start = 0
    for family in families:
        if start < len(kept):
            yield kept[start : start + len(family)]
        start += len(family)


def _section(section: Any, most: int) -> Any:
    """Return a section with shortened tables."""
    return replace(section, tables=_shortened(section.tables, most)) if section else None


def _lines(context: Mapping[str, Any]) -> int:
    """Return the number of lines of all tables."""
    tables = [table for _, table in context["tables"]]
    tables += [table for family in context["comparisons"] for table in family]
    tables += [*context["timing"], *context["standing"]]
    tables += [context["told"]] if context["told"] else []
    for section in (context["claims"], context["provenance"]):
        tables += section.tables if section else []
    return sum(len(table.rows) for table in tables)

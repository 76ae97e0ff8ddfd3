"""`mdnbench claims`: published and claimed numbers beside the measured ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdnbench.cli import options as o

if TYPE_CHECKING:
    from mdnbench.analysis.published import Claim, Claims


def claims(
    name: o.RunName,
    references: Annotated[
        list[Path] | None, typer.Option(help="A CSV file of more published numbers; repeatable.")
    ] = None,
    images: Annotated[bool, typer.Option("--images", help="Show every image, not the means alone.")] = False,
    json: o.Json = False,
) -> None:
    """Set a run's numbers beside published ones, and beside the article's, claim by claim.

    Example: mdnbench claims set12-gaussian-50
    """
    from mdnbench import api
    from mdnbench.analysis import published
    from mdnbench.cli import draw
    from mdnbench.results.render import terminal

    found = api.claims(api.open_run(name), references=references or [])
    if json:
        draw.data(facts_of(found))
        return
    for table in published.tables_of(found, images=images):
        terminal.render(table)
    for note in found.notes:
        terminal.say(note)


def facts_of(found: Claims) -> dict[str, Any]:
    """The claims as plain values."""
    return {
        "run": found.run,
        "published": [_claim_facts(claim) for claim in found.published],
        "article": [_claim_facts(claim) for claim in found.article],
        "orders": [
            {"noise": each.noise, "metric": each.column.name, "better": each.better, "worse": each.worse,
             "claimed": each.claimed, "measured": each.measured, "finding": each.finding}
            for each in found.orders
        ],
        "others": [
            {"published_as": each.method, "noise": each.noise, "metric": each.metric, "published": each.value,
             "source": each.source}
            for each in found.others
        ],
        "notes": list(found.notes),
    }  # fmt: skip


def _claim_facts(claim: Claim) -> dict[str, Any]:
    reference = claim.reference
    return {
        "method": claim.method, "published_as": reference.method, "dataset": reference.dataset,
        "noise": reference.noise, "image": reference.image, "metric": reference.metric, "published": reference.value,
        "measured": claim.measured, "difference": claim.difference, "allowed": claim.allowed,
        "finding": claim.finding, "verdict": claim.verdict, "source": reference.source,
    }  # fmt: skip

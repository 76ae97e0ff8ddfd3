"""`mdnbench rescore`: score kept outputs under other scoring rules and metric settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from mdnbench import api
from mdnbench.cli import draw, progress
from mdnbench.cli import options as o
from mdnbench.results.render import terminal
from mdnbench.results.score_shifts import tables_of
from mdnbench.spec.names import split_list

if TYPE_CHECKING:
    from mdnbench.analysis.rescoring import Rescored
    from mdnbench.results import Results
    from mdnbench.results.score_shifts import Shift


@dataclass(frozen=True, slots=True)
class ChoiceDocument:
    """A way to score: a protocol's scoring rule, or a setting of a metric.

    Attributes:
        name: The protocol or the metric setting.
        summary: What it does.
        protocol: The protocol with the scoring rule.
        metrics: For each computed metric, the metric of the run that it is compared with.
    """

    name: str
    summary: str
    protocol: str
    metrics: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ShiftDocument:
    """The mean of a method's kept outputs, as the run scored them and as scored in another way.

    Attributes:
        metric: The metric that was computed again.
        beside: The run's metric.
        way: The name of the other way to score.
        outputs: The number of outputs.
        as_run: The mean as the run scored the outputs.
        other: The mean in the other way.
        shift: `other` minus `as_run`.
        low: The smallest shift of a single output.
        high: The largest shift of a single output.
    """

    noise: str
    method: str
    metric: str
    beside: str
    way: str
    outputs: int
    as_run: float
    other: float
    shift: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RescoreDocument:
    """How far the means of a run change if its kept outputs are scored in other ways.

    Attributes:
        kept: The number of outputs that are kept and therefore scored.
        outputs: The number of all outputs that are ok.
        computed: The number of scorings that ran now; the other scores were stored.
        failed: A line for each scoring that failed.
        notes: What was left out, and why.
    """

    run: str
    protocol: str
    choices: tuple[ChoiceDocument, ...]
    shifts: tuple[ShiftDocument, ...]
    kept: int
    outputs: int
    computed: int
    failed: tuple[str, ...]
    notes: tuple[str, ...]


def document_of(found: Rescored) -> RescoreDocument:
    """Return the document of a rescoring."""
    choices = tuple(
        ChoiceDocument(each.name, each.summary, each.protocol.label, each.metrics) for each in found.choices
    )
    return RescoreDocument(
        found.run, found.protocol, choices, tuple(map(_shift_document, found.shifts)), found.kept, found.outputs,
        found.computed, found.failed, found.notes,
    )  # fmt: skip


def _shift_document(each: Shift) -> ShiftDocument:
    return ShiftDocument(
        each.noise, each.method, each.metric, each.beside, each.way, each.outputs, each.as_run, each.other, each.shift,
        each.low, each.high,
    )  # fmt: skip


def rescore(
    name: o.RunName,
    scoring: Annotated[
        str, typer.Option(help="By comma: all, protocols, FILE.toml, or metric settings as ssim[uniform].")
    ] = "all",
    dataset: Annotated[str | None, typer.Option(help="The folder of images, for a run on your own.")] = None,
    jobs: o.Jobs = None,
    plugin: o.Plugin = None,
    json: o.Json = False,
) -> None:
    """Score a run's kept outputs in other ways, and show how far the means change. No method runs again.

    Example: mdnbench rescore set12-gaussian-50 --scoring all
    """
    results = api.open_run(name)
    with progress.listener() as listener:
        found = api.rescore(
            results, split_list(scoring), dataset=dataset or "", jobs=jobs or 0, plugins=plugin or [], listener=listener
        )
    if json:
        draw.data("rescore", document_of(found))
    else:
        _draw(results, found)
    raise typer.Exit(4 if found.failed else 0)


def _draw(results: Results, found: Rescored) -> None:
    terminal.say(f"{found.run} · protocol {found.protocol}")
    for choice in found.choices:
        terminal.say(f"{choice.name}: {choice.summary}")
    for table in tables_of(results, found.shifts):
        terminal.render(table)
    kept = f"{found.kept} of {found.outputs} outputs are stored"
    lost = "" if found.kept == found.outputs else f"; the other {found.outputs - found.kept} are left out"
    terminal.say(f"{kept}{lost} · {found.computed} scorings now, the others are from the store")
    for line in (*found.notes, *found.failed):
        terminal.say(line)

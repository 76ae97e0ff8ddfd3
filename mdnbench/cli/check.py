"""`mdnbench check`: the regression check for CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdnbench import api
from mdnbench.analysis.regression import Update
from mdnbench.analysis.regression import junit as xml
from mdnbench.cli import draw, verdicts
from mdnbench.cli import options as o
from mdnbench.errors import BadOption, MdnbenchError
from mdnbench.util import atomic

if TYPE_CHECKING:
    from mdnbench.analysis.regression import Verdict
    from mdnbench.results import Results


def check(
    name: o.RunName,
    baseline: Annotated[Path, typer.Option(help="The baseline, as reports/baselines/set12-sigma50.")],
    tolerance: Annotated[
        list[str] | None,
        typer.Option(help="A metric's tolerance, as psnr=0.02, or seconds=0.5 for half as much again; repeatable."),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Noises and methods that the run lacks are no regression.")
    ] = False,
    timing: Annotated[bool, typer.Option("--timing", help="Compare seconds too: on the same machine only.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Write the baseline anew from this run.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write the verdict as JUnit XML to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the verdict as Markdown to this file.")] = None,
    json: o.Json = False,
) -> None:
    """Compare a run with a baseline: exit 0 if all is well, 1 at a regression, 5 if nothing was compared.

    Example: mdnbench check set12-gaussian-50 --baseline reports/baselines/set12-sigma50
    """
    results = api.open_run(name)
    if update:
        _update(results, baseline, json=json)
        return
    verdict = api.check(results, baseline, tolerances=_tolerances(tolerance or []), partial=partial, timing=timing)
    if json:
        draw.data("check", verdict, exit_code=verdict.exit_code)
    else:
        verdicts.show(verdict)
    _write(verdict, junit, markdown)
    raise typer.Exit(verdict.exit_code)


def _update(results: Results, baseline: Path, *, json: bool) -> None:
    """Print what the new baseline changes, and write it."""
    change = api.baseline_change(results, baseline)
    written = api.write_baseline(results, baseline)
    if json:
        draw.data("update", Update(str(written), change))
    else:
        verdicts.show_change(change)
        typer.echo(f"wrote {written}.toml and .csv")


def _write(verdict: Verdict, junit: Path | None, markdown: Path | None) -> None:
    """Write the verdict to files, and to the summary page of GitHub Actions if there is one."""
    try:
        if junit:
            atomic.write_out(junit, xml.text_of(verdict))
        if markdown:
            atomic.write_out(markdown, verdicts.as_markdown(verdict))
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            atomic.append(Path(summary), verdicts.as_markdown(verdict))
    except OSError as error:
        raise MdnbenchError(f"the verdict cannot be written: {error}. Make room, or name another file.") from None


def _tolerances(given: list[str]) -> dict[str, float]:
    """Return the tolerances by metric; raise BadOption if one is not a non-negative number."""
    found = {}
    for text in given:
        metric, _, value = text.partition("=")
        try:
            found[metric.strip()] = float(value)
        except ValueError:
            raise BadOption(f"--tolerance {text!r} is not of the form metric=number, as psnr=0.02.") from None
        if not 0 <= found[metric.strip()] < float("inf"):
            raise BadOption(f"--tolerance {text!r} must not be negative or infinite.")
    return found

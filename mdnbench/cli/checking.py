"""`mdnbench check`: the regression check for CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mdnbench.cli import options as o
from mdnbench.errors import BadOption


def check(
    name: Annotated[str, typer.Argument(help="A run's name, or its folder.")],
    baseline: Annotated[Path, typer.Option(help="The baseline, as reports/baselines/set12-sigma50.")],
    tolerance: Annotated[
        list[str] | None, typer.Option(help="A metric's tolerance, as psnr=0.02; repeatable. [default: the baseline's]")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Methods that the run lacks are no regression.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Write the baseline anew from this run.")] = False,
    json: o.Json = False,
) -> None:
    """Hold a run against a baseline: exit 0 when all is well, 1 at a regression, 5 when nothing was compared.

    Example: mdnbench check set12-gaussian-50 --baseline reports/baselines/set12-sigma50
    """
    from dataclasses import asdict

    from mdnbench import api
    from mdnbench.cli import draw, verdicts

    results = api.open_run(name)
    if update:
        typer.echo(f"wrote {api.write_baseline(results, baseline)}.toml and .csv")
        return
    verdict = api.check(results, baseline, tolerances=_tolerances(tolerance or []), partial=partial)
    if json:
        draw.data(asdict(verdict) | {"exit_code": verdict.exit_code})
    else:
        verdicts.draw(verdict)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(verdicts.markdown(verdict))
    raise typer.Exit(verdict.exit_code)


def _tolerances(given: list[str]) -> dict[str, float]:
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

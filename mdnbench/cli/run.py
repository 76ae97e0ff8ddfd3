"""`mdnbench run`, `mdnbench plan` and `mdnbench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdnbench import api
from mdnbench.cli import completion as tab
from mdnbench.cli import draw, progress, run_tables
from mdnbench.cli import options as o
from mdnbench.planning import request
from mdnbench.spec import names


def run(
    plan_file: o.PlanFile = None, methods: o.Methods = None, noise: o.NoiseOption = None, sigma: o.Sigma = None,
    dataset: o.DatasetOption = None, gray: o.Gray = None, images: o.Images = None, metrics: o.Metrics = None,
    seeds: o.Seeds = None, protocol: o.ProtocolOption = None, noise_info: o.NoiseInfoOption = None,
    device: o.Device = None, jobs: o.Jobs = None, engine: o.EngineOption = None, scheduler: o.Scheduler = None,
    out: o.Out = None,
    fresh: o.Fresh = None, no_timing: o.NoTiming = None, timeout: o.Timeout = None, memory: o.Memory = None,
    keep_images: o.KeepImagesOption = None, train_budget: o.TrainBudget = None, plugin: o.Plugin = None,
    json: o.Json = False,
) -> None:  # fmt: skip
    """Run methods over images and noises, and print the tables.

    Example: mdnbench run --methods all --sigma 50
    """
    said = o.overrides({key: value for key, value in locals().items() if key not in ("plan_file", "plugin", "json")})
    asked = request.read(plan_file, said | ({"plugins": [str(path) for path in plugin]} if plugin else {}))
    with progress.listener() as listener:
        results = api.run(asked, listener=listener)
        for method, reason in results.unmet.items():
            listener.note(f"{method} was asked for by name and has no cell that is ok; {reason}")
    if json:
        from mdnbench.cli import run_document  # records that nothing else needs

        draw.data("run", run_document.of(results))
    else:
        run_tables.draw(results)
    raise typer.Exit(results.exit_code)


def plan(
    plan_file: o.PlanFile = None, methods: o.Methods = None, noise: o.NoiseOption = None, sigma: o.Sigma = None,
    dataset: o.DatasetOption = None, gray: o.Gray = None, images: o.Images = None, metrics: o.Metrics = None,
    seeds: o.Seeds = None, protocol: o.ProtocolOption = None, noise_info: o.NoiseInfoOption = None,
    device: o.Device = None, jobs: o.Jobs = None, engine: o.EngineOption = None, scheduler: o.Scheduler = None,
    out: o.Out = None,
    fresh: o.Fresh = None, keep_images: o.KeepImagesOption = None, plugin: o.Plugin = None, json: o.Json = False,
) -> None:  # fmt: skip
    """Show the cells of a run, which of them are stored, trainings and the estimated time. Computes nothing.

    Example: mdnbench plan --methods all --sigma 15,25,50
    """
    said = o.overrides({key: value for key, value in locals().items() if key not in ("plan_file", "plugin", "json")})
    asked = request.read(plan_file, said | ({"plugins": [str(path) for path in plugin]} if plugin else {}))
    with progress.waiting("planning"):
        estimate = api.estimate(api.plan(asked))
    if json:
        draw.data("plan", estimate)
    else:
        draw.estimate(estimate)


def report(
    name: o.RunName,
    to: Annotated[
        str,
        typer.Option(help="Formats, by comma; `mdnbench list` shows them.", autocompletion=tab.several("reporters")),
    ] = "md",
    out: Annotated[str | None, typer.Option(help="The folder to write to. [default: the run's own]")] = None,
    plugin: o.Plugin = None,
) -> None:
    """Write a run's results in other formats.

    Example: mdnbench report set12-gaussian-50 --to md,csv
    """
    found, folder = api.open_run(name), Path(out) if out else None
    with progress.waiting(f"writing {to}"):
        paths = api.report(found, names.split_list(to), folder=folder, plugins=plugin or ())
    for path in paths:
        typer.echo(path)

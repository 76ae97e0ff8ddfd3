"""The options that several commands share, and their conversion to a request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mdnbench.cli import completion as tab
from mdnbench.errors import BadOption
from mdnbench.spec.names import split_list

PlanFile = Annotated[Path | None, typer.Argument(help="A plan file (TOML) with the same keys; what is said here wins.")]
Methods = Annotated[
    str | None,
    typer.Option(
        help="Denoisers, by comma: all, or bm3d,dncnn, or bm3d[profile=lc]. [default: all]",
        autocompletion=tab.several("methods"),
    ),
]
NoiseOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A noise, as gaussian:25 or mixed:sigma=25,peak=60; repeatable.", autocompletion=tab.one("noises")
    ),
]
Sigma = Annotated[str | None, typer.Option(help="Short for Gaussian noises, 0 to 255, by comma: 15,25,50.")]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        help="A data set or a folder of images. [default: set12, or sk12 if set12 is not available]",
        autocompletion=tab.one("datasets"),
    ),
]
Gray = Annotated[bool | None, typer.Option("--gray", help="Turn colour images gray, by ITU-R BT.601 as rgb2gray does.")]
Images = Annotated[str | None, typer.Option(help="Only these images of it, by comma. [default: all]")]
Metrics = Annotated[
    str | None, typer.Option(help="Metrics, by comma. [default: all]", autocompletion=tab.several("metrics"))
]
Seeds = Annotated[int | None, typer.Option(help="Noise realisations per image. [default: 1]")]
ProtocolOption = Annotated[
    str | None,
    typer.Option(
        help="standard, float, clipped, masked-paper, or FILE.toml. [default: standard]",
        autocompletion=tab.one("protocols"),
    ),
]
NoiseInfoOption = Annotated[
    str | None,
    typer.Option(
        help="What methods know about the noise: known, estimated, withheld. [default: known]",
        autocompletion=tab.choice("known", "estimated", "withheld"),
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda or auto. [default: auto]", autocompletion=tab.choice("auto", "cpu", "cuda")),
]
Jobs = Annotated[int | None, typer.Option(help="Workers. [default: one per core]")]
EngineOption = Annotated[
    str | None,
    typer.Option(
        help="Where cells run: local, or dask for a Dask cluster. [default: local]",
        autocompletion=tab.choice("local", "dask"),
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(help="A Dask scheduler that runs already, as tcp://host:8786. [default: a cluster on this machine]"),
]
Out = Annotated[str | None, typer.Option(help="The run's name, or a folder for its files.")]
Fresh = Annotated[bool | None, typer.Option("--fresh", help="Compute everything again.")]
NoTiming = Annotated[bool | None, typer.Option("--no-timing", help="Leave the timing phase out.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds that a cell may take. [default: 600]")]
Memory = Annotated[float | None, typer.Option(help="GiB that a worker may hold; 0 is no limit. [default: 0]")]
KeepImagesOption = Annotated[
    str | None,
    typer.Option(
        help="Which outputs to keep: first-seed, all, none. [default: first-seed]",
        autocompletion=tab.choice("first-seed", "all", "none"),
    ),
]
TrainBudget = Annotated[float | None, typer.Option(help="Minutes for each training that a run needs. [default: 10]")]
Plugin = Annotated[list[Path] | None, typer.Option(help="A plugin in a Python file; repeatable.")]
RunName = Annotated[str, typer.Argument(help="A run's name, or its folder.", autocompletion=tab.one("runs"))]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

LISTS = ("methods", "images", "metrics")


def overrides(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a request that were given on the command line, with their values converted."""
    said = {key: value for key, value in given.items() if value is not None}
    for key in LISTS:
        if key in said:
            said[key] = split_list(said[key])
    if "sigma" in said:
        said["sigma"] = [_number(part) for part in split_list(said["sigma"])]
    if "no_timing" in said:
        said["timing"] = not said.pop("no_timing")
    if "plugins" in said:
        said["plugins"] = [str(path) for path in said["plugins"]]
    return said


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadOption(f"--sigma {text!r} is not a number; write levels from 0 to 255 by comma: 15,25,50.") from None

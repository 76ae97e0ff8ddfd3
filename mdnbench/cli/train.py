"""`mdnbench train` and `mdnbench weights`: train learned methods, and manage their weights."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdnbench import api
from mdnbench.api import catalogue
from mdnbench.cli import completion as tab
from mdnbench.cli import draw, progress
from mdnbench.cli import options as o
from mdnbench.errors import BadOption
from mdnbench.results.render import terminal
from mdnbench.results.table import Column, Table, words
from mdnbench.spec.names import printable

if TYPE_CHECKING:
    from mdnbench.api.catalogue import WeightsFacts

StateOption = Annotated[
    str,
    typer.Option(help="The state to use if the file holds several, such as params_ema. [default: the one that fits]"),
]
PrefixOption = Annotated[
    str | None, typer.Option(help="What to take off the keys, as module. [default: what the network asks for]")
]

weights = typer.Typer(help="Weights of learned methods.", no_args_is_help=True)


def train(
    method: Annotated[
        str,
        typer.Argument(help="A learned method, as masked-unet or unet[size=large].", autocompletion=tab.one("learned")),
    ],
    recipe: Annotated[
        str, typer.Option(help="A recipe's name, or FILE.toml.", autocompletion=tab.of_method("recipes"))
    ] = "best",
    minutes: Annotated[float | None, typer.Option(help="The budget in minutes. [default: the recipe's]")] = None,
    steps: Annotated[int | None, typer.Option(help="The budget in steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="The budget in epochs.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A key of the recipe, as optimiser.lr=1e-3; repeatable.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.", autocompletion=tab.choice("cpu", "cuda"))] = "cpu",
    threads: Annotated[int | None, typer.Option(help="CPU threads. [default: all cores]", min=1)] = None,
    name: Annotated[str | None, typer.Option(help="The weights' name. [default: method and recipe digest]")] = None,
    start: Annotated[
        str,
        typer.Option(
            help="The weights to begin with, by name. [default: random ones]", autocompletion=tab.of_method("weights")
        ),
    ] = "",
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Do not resume from a checkpoint.")] = False,
    plugin: o.Plugin = None,
) -> None:
    """Train a learned method, or continue its training.

    Example: mdnbench train masked-unet --recipe best --minutes 30
    """
    with progress.listener() as listener:
        made = api.train(
            method, plugins=plugin or (), listener=listener, recipe=recipe, minutes=minutes, steps=steps, epochs=epochs,
            changes=_changes(set_ or []), device=device, threads=threads, resume=not from_scratch, name=name,
            start=start,
        )  # fmt: skip
    from mdnbench.training import ranks

    if ranks.first():
        typer.echo(f"{made.path}\n{made.card.steps} steps in {made.card.minutes:.1f} minutes, {_psnr(made.card)}")


@weights.command("list")
def list_weights(
    method: Annotated[str | None, typer.Argument(help="Only this method's.", autocompletion=tab.one("learned"))] = None,
    plugin: o.Plugin = None,
    json: o.Json = False,
) -> None:
    """List weights with their noise and quality. They are shipped, trained or imported.

    Example: mdnbench weights list
    """
    found = catalogue.weights(method, plugin or [])
    if json:
        draw.data("weights-list", catalogue.WeightsListing(tuple(found)))
    else:
        columns = (words("Method"), words("Weights"), words("For"), Column("Validation"), words("Trained"),
                   Column("SHA-256"))  # fmt: skip
        terminal.render(Table.of("", columns, map(_line, found)))


def _line(each: WeightsFacts) -> list[str]:
    noise = "; ".join(each.noise) + (" (blind)" if each.blind else "")
    quality = "–" if each.validation_psnr is None else f"{each.validation_psnr:.2f} dB"
    trained = f"{each.where}, {each.minutes:.0f} min, {each.device}"
    origin = f"imported from {each.source}" if each.source else trained
    return [each.method, each.name, noise, quality, origin, each.sha256[:12]]


@weights.command("inspect")
def inspect_weights(
    file: Annotated[Path, typer.Argument(help="A PyTorch or safetensors file; nothing in it is run.")],
    state: Annotated[str, typer.Option(help="Only this state, with its tensors one by one.")] = "",
    prefix: Annotated[str | None, typer.Option(help="Only the tensors whose keys begin so, without it.")] = None,
    plugin: o.Plugin = None,
    json: o.Json = False,
) -> None:
    """Show the contents of a weights file. Lists its states, their keys and sizes, and the methods that they fit.

    Example: mdnbench weights inspect net_g_400000.pth

    Example: mdnbench weights inspect net_g_400000.pth --state params_ema
    """
    found = api.inspect_weights(file, state=state, prefix=prefix, plugins=plugin or ())
    if json:
        draw.data("weights-inspect", found)
    else:
        draw.checkpoint(found, keys=bool(state or prefix))


@weights.command("import")
def import_weights(
    method: Annotated[
        str, typer.Argument(help="The learned method that they are for.", autocompletion=tab.one("learned"))
    ],
    file: Annotated[
        Path, typer.Argument(help="A PyTorch (.pth) or safetensors file; it is read without running its pickle.")
    ],
    name: Annotated[str, typer.Option(help="The name to use them by: METHOD[weights=NAME].")],
    state: StateOption = "",
    prefix: PrefixOption = None,
    eps: Annotated[
        float | None, typer.Option(help="The eps of its batch normalisation. [default: that of its layout]")
    ] = None,
    plugin: o.Plugin = None,
) -> None:
    """Import published weights for use as METHOD[weights=NAME].

    Example: mdnbench weights import dncnn dncnn_50.pth --name kair-50
    """
    made = api.import_weights(method, file, name, state=state, prefix=prefix, eps=eps, plugins=plugin or ())
    typer.echo(f"{method}[weights={made.name}]: {made.path}")
    typer.echo(printable(made.card.notes), err=True)


@weights.command("export")
def export_weights(
    method: Annotated[str, typer.Argument(help="A learned method.", autocompletion=tab.one("learned"))],
    name: Annotated[str, typer.Argument(help="The weights' name.", autocompletion=tab.of_method("weights"))],
    to: Annotated[Path, typer.Argument(help="A folder for the safetensors file and its card.")],
    rename: Annotated[str, typer.Option(help="The copy's name. [default: the same]")] = "",
    half: Annotated[bool, typer.Option("--half", help="In half precision: half the size.")] = False,
    plugin: o.Plugin = None,
) -> None:
    """Copy weights and their card to a folder.

    Example: mdnbench weights export unet mine FOLDER
    """
    typer.echo(api.export_weights(method, name, to, rename=rename, half=half, plugins=plugin or ()))


def _psnr(card: Any) -> str:
    return "no validation" if card.validation_psnr is None else f"validation {card.validation_psnr:.2f} dB"


def _changes(given: list[str]) -> dict[str, Any]:
    """Return settings such as `optimiser.lr=1e-3` as a nested table; a value that is not valid TOML is a text."""
    changes: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise BadOption(f"--set {text!r} is not of the form key=value, as optimiser.lr=1e-3.")
        *tables, last = key.strip().split(".")
        target = changes
        for table in tables:
            target = target.setdefault(table, {})
            if not isinstance(target, dict):
                raise BadOption(f"--set {text!r}: {table} was given a value before, and cannot have keys as well.")
        try:
            target[last] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            target[last] = value
    return changes

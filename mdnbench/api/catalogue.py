"""List and describe what is installed: the records behind `list`, `describe` and `weights list`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mdnbench import registry, store
from mdnbench import weights as stored
from mdnbench.errors import UnknownName
from mdnbench.evaluation import protocols
from mdnbench.registry import Registry, SpecTable, variants
from mdnbench.spec.names import Option, Value, counted
from mdnbench.store import workspace

KINDS = ("methods", "noises", "datasets", "metrics", "protocols", "reporters", "runs")


@dataclass(frozen=True, slots=True)
class Named:
    """A name with its summary."""

    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What is installed, by kind. A kind that was not requested is None.

    Attributes:
        broken: Plugins that cannot be used, with the reason.
        patching: Plugins that change their process, with the reason.
    """

    methods: tuple[Named, ...] | None = None
    noises: tuple[Named, ...] | None = None
    datasets: tuple[Named, ...] | None = None
    metrics: tuple[Named, ...] | None = None
    protocols: tuple[Named, ...] | None = None
    reporters: tuple[Named, ...] | None = None
    runs: tuple[Named, ...] | None = None
    broken: tuple[Named, ...] = ()
    patching: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True)
class OptionFacts:
    """An option of a method, or a parameter of a noise.

    Attributes:
        name: Its name.
        takes: The allowed values, in words.
        default: The default value, or None if a value must be given.
        help: What it changes.
    """

    name: str
    takes: str
    default: Value | None
    help: str


@dataclass(frozen=True, slots=True)
class Description:
    """Everything that is known about a name. A field that its kind does not have is None.

    Attributes:
        origin: The plugin or the file that provides it.
        note: What to know before using it.
        noisy_image: How a protocol prepares the noisy image.
        output: How a protocol prepares an output for the metrics.
        code_that_counts: Files and packages by root. If one of them changes, results are computed again.
    """

    name: str
    kind: str
    summary: str
    revision: str | None = None
    wants: str | None = None
    channels: tuple[int, ...] | None = None
    split: str | None = None
    direction: str | None = None
    unit: str | None = None
    digits: int | None = None
    tolerance: float | None = None
    formula: str | None = None
    packages: tuple[str, ...] | None = None
    published_as: str | None = None
    licence: str | None = None
    citation: str | None = None
    images: int | None = None
    settings: tuple[str, ...] | None = None
    recipes: tuple[str, ...] | None = None
    origin: str | None = None
    note: str | None = None
    hash: str | None = None
    noisy_image: str | None = None
    output: str | None = None
    used_by: str | None = None
    options: tuple[OptionFacts, ...] = ()
    code_that_counts: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True, slots=True)
class WeightsFacts:
    """A weights file.

    Attributes:
        method: The learned method.
        name: The name of the weights.
        noise: The noises that they were trained for.
        blind: Whether the network works without the noise level.
        validation_psnr: The mean PSNR on the validation images in dB, or None if there is none.
        where: 'shipped' if the weights are part of a plugin, 'here' if they were trained or imported on this machine.
        source: The source of imported weights; empty for others.
        minutes: The time of the training in minutes.
        device: The device of the training.
        sha256: The digest of the file.
    """

    method: str
    name: str
    noise: tuple[str, ...]
    blind: bool
    validation_psnr: float | None
    where: str
    source: str
    minutes: float
    device: str
    sha256: str


@dataclass(frozen=True, slots=True)
class WeightsListing:
    """The available weights files."""

    weights: tuple[WeightsFacts, ...]


# The fields that a description copies from a spec.
_FIELDS = (
    "revision", "wants", "channels", "split", "direction", "unit", "digits", "tolerance", "formula", "packages",
    "published_as", "licence", "citation",
)  # fmt: skip


def listing(kind: str, plugins: Iterable[Path]) -> Listing:
    """Return the names of installed things with their summaries.

    Args:
        kind: One of `KINDS`, or 'all' for every kind except runs.
        plugins: Python files with further plugins.

    Returns:
        The names by kind, the broken plugins, and those that change their process.

    Raises:
        UnknownName: If there is no such kind.
    """
    if kind not in (*KINDS, "all"):
        raise UnknownName("kind", kind, (*KINDS, "all"))
    known = registry.load(plugins)
    found = {name: tuple(_names(name, known)) for name in KINDS if kind == name or (kind == "all" and name != "runs")}
    broken = tuple(Named(each.source.address, each.reason) for each in known.broken)
    patching = tuple(Named(each.source.address, each.reason) for each in known.patching)
    return Listing(**found, broken=broken, patching=patching)


def words(kind: str) -> dict[str, str]:
    """Return the names of a kind with their summaries, for the completion with the Tab key.

    Besides the kinds of `list` there are 'learned' for learned methods, and 'kinds'. The runs are those with a folder
    in the workspace. The store is not opened, because completion must be fast and must not change anything.
    """
    if kind == "kinds":
        return dict.fromkeys((*KINDS, "all"), "")
    if kind == "runs":
        return {path.parent.name: "" for path in sorted(workspace.locate().glob("runs/*/run.json"))}
    known = registry.load()
    if kind == "learned":
        return {name: spec.summary for name, spec in known.denoisers.items() if spec.trainable}
    return {each.name.partition(" ")[0]: each.summary for each in _names(kind, known)}


def words_of(method: str, kind: str) -> dict[str, str]:
    """Return the names of a learned method's recipes or weights, for the completion with the Tab key.

    Args:
        method: The method, with or without options.
        kind: 'recipes' or 'weights'.

    Returns:
        The names; none if the method is not a learned one.
    """
    name = method.partition("[")[0]
    if kind == "weights":
        return {each.name: "; ".join(each.noise) for each in weights(name, ())}
    trainable = registry.load().denoisers[name].trainable
    return {path.stem: "" for path in sorted(trainable.recipes.glob("*.toml"))} if trainable else {}


def describe(name: str, plugins: Iterable[Path]) -> Description:
    """Return everything that is known about a name.

    Args:
        name: The name of a method, noise, data set, metric, reporter or protocol.
        plugins: Python files with further plugins.

    Raises:
        UnknownName: If nothing has this name.
        BadPlugin: If a plugin of this name is broken.
    """
    known = registry.load(plugins)
    everything: list[str] = []
    for kind, shelf in _spec_tables(known).items():
        everything += shelf
        if name in shelf:
            return replace(_described(kind, shelf, name), code_that_counts=_code(known, kind, name))
    if name in protocols.known():
        return _protocol(name)
    known_names = (*everything, *protocols.known())
    if any(name == each.source.name for each in known.broken):
        known.denoisers.entry(name)
    raise UnknownName("method, noise, data set, metric, reporter or protocol", name, known_names)


def weights(method: str | None, plugins: Iterable[Path]) -> list[WeightsFacts]:
    """Return the available weights: shipped, trained and imported.

    Args:
        method: A method, or None for all methods.
        plugins: Python files with further plugins.
    """
    known = registry.load(plugins)
    specs = [known.denoisers[method]] if method else list(known.denoisers.values())
    return [
        _weights_facts(spec.name, each, place)
        for spec in specs
        if spec.trainable
        for place, group in (("shipped", stored.shipped(spec.trainable)), ("here", stored.trained(spec.name)))
        for each in group
    ]


def _weights_facts(method: str, each: stored.Weights, place: str) -> WeightsFacts:
    card = each.card
    return WeightsFacts(
        method, each.name, tuple(map(str, card.noise)), card.blind, card.validation_psnr, place, card.source,
        card.minutes, card.device, each.sha256,
    )  # fmt: skip


def _spec_tables(known: Registry) -> dict[str, SpecTable[Any]]:
    return {
        "methods": known.denoisers,
        "noises": known.noises,
        "datasets": known.datasets,
        "metrics": known.metrics,
        "reporters": known.reporters,
    }


def _names(kind: str, known: Registry) -> list[Named]:
    if kind == "protocols":
        return [Named(each.label, each.summary) for each in protocols.known().values()]
    if kind == "runs":
        return _runs()
    return [Named(name, spec.summary) for name, spec in _spec_tables(known)[kind].items()]


def _runs() -> list[Named]:
    path = workspace.locate() / "results.sqlite"
    if not path.is_file():
        return []
    with store.open_store(path) as opened:
        runs = [run for run in map(opened.run, opened.run_names()) if run]
    return [Named(run.name, f"{counted(run.planned, 'cell')}, {run.created[:16].replace('T', ' ')}") for run in runs]


def _described(kind: str, shelf: SpecTable[Any], name: str) -> Description:
    entry = shelf.entry(name)
    spec = entry.spec
    given = {field: value for field in _FIELDS if (value := getattr(spec, field, None)) not in (None, "", ())}
    found = Description(name, kind.removesuffix("s"), spec.summary, **given, origin=entry.source.address)
    if kind == "datasets":
        found = replace(found, images=len(spec.images))
    if kind == "metrics" and spec.settings:
        found = replace(found, settings=tuple(f"{name}[{each.name}]: {each.summary}" for each in spec.settings))
    if kind == "methods" and spec.trainable:
        recipes = sorted(path.stem for path in spec.trainable.recipes.glob("*.toml"))
        found = replace(found, recipes=tuple(recipes))
    if entry.patches:
        found = replace(found, note=f"{entry.patches}: it runs in processes of its own")
    other = getattr(spec, "parameters", getattr(spec, "options", ()))
    options = variants.options_of(spec) if kind == "methods" else other
    return replace(found, options=tuple(map(_option, options)))


def _code(known: Registry, kind: str, name: str) -> Mapping[str, Sequence[str]] | None:
    """Return the files and packages that the results of a method, noise or metric depend on; None for other kinds."""
    if kind not in ("methods", "noises", "metrics"):
        return None
    from mdnbench.planning.identity import what_counts  # plans import NumPy, which takes as long as all other imports

    path = workspace.locate() / "results.sqlite"
    with store.open_store(path) if path.is_file() else nullcontext() as opened:
        return what_counts(known, kind.removesuffix("s"), name, opened)


def _option(option: Option) -> OptionFacts:
    return OptionFacts(option.name, option.takes(), option.default, option.help)


def _protocol(name: str) -> Description:
    protocol = protocols.load(name)
    return Description(
        name, "protocol", protocol.summary, hash=protocol.hash, noisy_image=protocol.input.words,
        output=protocol.scoring.words, used_by=protocol.used_by,
    )  # fmt: skip

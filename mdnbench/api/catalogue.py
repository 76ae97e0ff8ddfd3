"""The catalogue: everything that is installed, as plain tables for `list` and `describe`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mdnbench import registry
from mdnbench import weights as stored
from mdnbench.errors import UnknownName
from mdnbench.evaluation import protocols
from mdnbench.registry import Registry, Shelf, variants
from mdnbench.spec.names import Option, counted, show
from mdnbench.store import open_store, workspace

KINDS = ("methods", "noises", "datasets", "metrics", "protocols", "reporters", "runs")
_FIELDS = (
    "revision", "wants", "channels", "split", "direction", "unit", "digits", "tolerance", "formula", "packages",
    "published_as", "licence", "citation",
)  # fmt: skip


def listing(kind: str, plugins: Iterable[Path]) -> dict[str, list[dict[str, Any]]]:
    """Names with their summaries, by kind ('all' for every kind but runs); broken plugins with their reasons."""
    if kind not in (*KINDS, "all"):
        raise UnknownName("kind", kind, (*KINDS, "all"))
    known = registry.load(plugins)
    found = {name: _names(name, known) for name in KINDS if kind == name or (kind == "all" and name != "runs")}
    if known.broken:
        found["broken"] = [{"name": each.door.address, "summary": each.reason} for each in known.broken]
    if known.patching:
        found["patching"] = [{"name": each.door.address, "summary": each.reason} for each in known.patching]
    return found


def words(kind: str) -> dict[str, str]:
    """The names of a kind with their summaries, as the Tab key offers them: `learned` methods and `kinds` too.

    Runs are those of the workspace's folder; the store is not opened, for a key must be quick and must change nothing.
    """
    if kind == "kinds":
        return dict.fromkeys((*KINDS, "all"), "")
    if kind == "runs":
        return {path.parent.name: "" for path in sorted(workspace.locate().glob("runs/*/run.json"))}
    known = registry.load()
    if kind == "learned":
        return {name: spec.summary for name, spec in known.denoisers.items() if spec.trainable}
    return {each["name"].partition(" ")[0]: each["summary"] for each in _names(kind, known)}


def words_of(method: str, kind: str) -> dict[str, str]:
    """The names of a learned method's `recipes` or `weights`, as the Tab key offers them; none of another method."""
    name = method.partition("[")[0]
    if kind == "weights":
        return {row["name"]: row["noise"] for row in weights(name, ())}
    trainable = registry.load().denoisers[name].trainable
    return {path.stem: "" for path in sorted(trainable.recipes.glob("*.toml"))} if trainable else {}


def describe(name: str, plugins: Iterable[Path]) -> dict[str, Any]:
    """Everything that is known of a name, of whatever kind."""
    known = registry.load(plugins)
    everything: list[str] = []
    for kind, shelf in _shelves(known).items():
        everything += shelf
        if name in shelf:
            return _described(kind, shelf, name) | _code(known, kind, name)
    if name in protocols.known():
        return _protocol(name)
    known_names = (*everything, *protocols.known())
    if any(name == each.door.name for each in known.broken):
        known.denoisers.entry(name)
    raise UnknownName("method, noise, data set, metric, reporter or protocol", name, known_names)


def weights(method: str | None, plugins: Iterable[Path]) -> list[dict[str, str]]:
    """The weights at hand, shipped, trained and imported: name, noise covered, validation PSNR, where from, digest."""
    known = registry.load(plugins)
    specs = [known.denoisers[method]] if method else list(known.denoisers.values())
    return [
        _weights_row(spec.name, each, place)
        for spec in specs
        if spec.trainable
        for place, group in (("shipped", stored.shipped(spec.trainable)), ("here", stored.trained(spec.name)))
        for each in group
    ]


def _weights_row(method: str, each: stored.Weights, place: str) -> dict[str, str]:
    card = each.card
    return {
        "method": method,
        "name": each.name,
        "noise": "; ".join(map(str, card.noise)) + (" (blind)" if card.blind else ""),
        "validation": "–" if card.validation_psnr is None else f"{card.validation_psnr:.2f} dB",
        "trained": f"imported from {card.source}" if card.source else f"{place}, {card.minutes:.0f} min, {card.device}",
        "sha256": each.sha256[:12],
    }


def _shelves(known: Registry) -> dict[str, Shelf[Any]]:
    return {
        "methods": known.denoisers,
        "noises": known.noises,
        "datasets": known.datasets,
        "metrics": known.metrics,
        "reporters": known.reporters,
    }


def _names(kind: str, known: Registry) -> list[dict[str, Any]]:
    if kind == "protocols":
        return [{"name": each.label, "summary": each.summary} for each in protocols.known().values()]
    if kind == "runs":
        return _runs()
    return [{"name": name, "summary": spec.summary} for name, spec in _shelves(known)[kind].items()]


def _runs() -> list[dict[str, Any]]:
    path = workspace.locate() / "results.sqlite"
    if not path.is_file():
        return []
    with open_store(path) as store:
        runs = [run for run in map(store.run, store.run_names()) if run]
    return [
        {"name": run.name, "summary": f"{counted(run.planned, 'cell')}, {run.created[:16].replace('T', ' ')}"}
        for run in runs
    ]


def _described(kind: str, shelf: Shelf[Any], name: str) -> dict[str, Any]:
    entry = shelf.entry(name)
    spec = entry.spec
    found: dict[str, Any] = {"name": name, "kind": kind.removesuffix("s"), "summary": spec.summary}
    found |= {field: value for field in _FIELDS if (value := getattr(spec, field, None)) not in (None, "", ())}
    if kind == "datasets":
        found["images"] = len(spec.images)
    if kind == "metrics" and spec.settings:
        found["settings"] = [f"{name}[{each.name}]: {each.summary}" for each in spec.settings]
    if kind == "methods" and spec.trainable:
        found["recipes"] = sorted(path.stem for path in spec.trainable.recipes.glob("*.toml"))
    found["from"] = entry.door.address
    if entry.patches:
        found["note"] = f"{entry.patches}: it runs in processes of its own"
    other = getattr(spec, "parameters", getattr(spec, "options", ()))
    options = variants.options_of(spec) if kind == "methods" else other
    found["options"] = [_option(option) for option in options]
    return found


def _code(known: Registry, kind: str, name: str) -> dict[str, Any]:
    """What an edit of would have results computed again: the files and packages that count."""
    if kind not in ("methods", "noises", "metrics"):
        return {}
    from mdnbench.planning.identity import what_counts

    path = workspace.locate() / "results.sqlite"
    with open_store(path) if path.is_file() else nullcontext() as store:
        places = what_counts(known, kind.removesuffix("s"), name, store)
    return {"code_that_counts": places}


def _option(option: Option) -> dict[str, Any]:
    default = "must be given" if option.default is None else show(option.default)
    return {"name": option.name, "takes": option.takes(), "default": default, "help": option.help}


def _protocol(name: str) -> dict[str, Any]:
    protocol = protocols.load(name)
    return {
        "name": name,
        "kind": "protocol",
        "summary": protocol.summary,
        "hash": protocol.hash,
        "noisy image": protocol.input.words,
        "output": protocol.scoring.words,
        "used by": protocol.used_by,
        "options": [],
    }

"""The provenance of a run's numbers: what was run, with which data, versions and machine, as lists and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdnbench import registry
from mdnbench.errors import MdnbenchError
from mdnbench.evaluation import protocols
from mdnbench.results import tables
from mdnbench.results.table import Table, words
from mdnbench.spec import names
from mdnbench.store import queries

if TYPE_CHECKING:
    from mdnbench.registry import Registry, SpecTable
    from mdnbench.results import Results
    from mdnbench.spec.records import Environment
    from mdnbench.store.facts import MethodFacts


@dataclass(frozen=True, slots=True)
class Entries:
    """A titled list of terms, each with a text."""

    title: str
    entries: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Provenance:
    """The lists and tables that describe how a run's numbers were made."""

    lists: Sequence[Entries]
    tables: Sequence[Table]


def of(results: Results) -> Provenance:
    """Return the provenance of a run; licences and citations come from the plugins that are installed here."""
    known = registry.load(results.plugins)
    lists = (_run(results, known), _machine(results.run.facts.environment))
    found = (_methods(results, known), _noises(results, known), _metrics(results, known), _images(results))
    return Provenance(lists, found)


def _run(results: Results, known: Registry) -> Entries:
    """Return the list about the run."""
    run, facts = results.run, results.run.facts
    data = _spec(known.datasets, facts.dataset)
    protocol = protocols.known().get(facts.protocol)
    counts = ", ".join(f"{count} {status}" for status, count in results.counts.items())
    entries = [
        ("Run", run.name),
        ("Begun", _time(run.created)),
        ("Ended", _time(run.finished) or "not yet: it was interrupted, or still runs"),
        ("Cells", f"{run.planned} planned; {counts}"),
        ("Data", f"{facts.dataset} ({facts.dataset_digest}), {names.counted(len(facts.images), 'image')}"),
        ("Data licence", getattr(data, "licence", "")),
        ("Data citation", getattr(data, "citation", "")),
        ("Protocol", f"{facts.protocol} ({facts.protocol_hash})"),
        ("", protocol.summary if protocol and protocol.hash == facts.protocol_hash else ""),
        ("Noise seeds", str(facts.seeds)),
        (
            "Known to methods",
            {"known": "of the noise what they ask for"}.get(facts.noise_info, f"noise {facts.noise_info}"),
        ),
    ]
    return Entries("Run", [entry for entry in entries if entry[1]])


def _machine(environment: Environment) -> Entries:
    """Return the list about the machine."""
    packages, cores = _pairs(environment.packages.items()), environment.cores
    entries = [
        ("mdnbench", f"{environment.mdnbench} ({environment.revision})"),
        ("Python", environment.python),
        ("Packages", ", ".join(packages)),
        ("Processor", f"{environment.cpu}, {cores} {'core' if cores == 1 else 'cores'}, {environment.machine}"),
        ("Memory", f"{environment.memory_bytes / 2**30:.0f} GiB"),
        ("System", environment.os),
        ("Device", f"{environment.device}, {environment.threads_per_cell} thread per cell"),
        ("Machine id", environment.machine_id),
    ]
    return Entries("Machine", [(term, str(text)) for term, text in entries])


def _methods(results: Results, known: Registry) -> Table:
    """Return the table of the methods."""
    weights = _weights(results)
    rows = [_method(text, facts, weights.get(text, {}), known) for text, facts in results.run.facts.methods.items()]
    titles = ("Method", "Revision", "Asks of the noise", "Packages", "Weights", "Licence", "Citation")
    return Table.of("Methods", list(map(words, titles)), rows)


def _method(text: str, facts: MethodFacts, weights: Mapping[str, str], known: Registry) -> tuple[str, ...]:
    """Return the row of a method."""
    spec = _spec(known.denoisers, text)
    used = "; ".join(f"{name} ({digest[:12]})" for digest, name in weights.items())
    return (
        text, facts.revision, tables.TOLD.get(facts.wants, "–"), _versions(facts.packages),
        used or "–", getattr(spec, "licence", "") or "–", getattr(spec, "citation", "") or "–",
    )  # fmt: skip


def _weights(results: Results) -> dict[str, dict[str, str]]:
    """Return the names of the weights that each method used, by their digests."""
    found: dict[str, dict[str, str]] = {}
    for _, method, provenance in queries.provenances(results.store, results.run):
        if provenance.weights_digest:
            found.setdefault(method, {})[provenance.weights_digest] = provenance.weights
    return found


def _noises(results: Results, known: Registry) -> Table:
    """Return the table of the noises."""
    rows = [
        (
            text,
            revision,
            _values(text, known),
            getattr(spec, "formula", "") or "–",
            getattr(spec, "summary", "") or "–",
        )
        for text, revision in results.run.facts.noises.items()
        for spec in [_spec(known.noises, text)]
    ]
    return Table.of("Noises", list(map(words, ("Noise", "Revision", "Values", "Formula", "What it is"))), rows)


def _values(text: str, known: Registry) -> str:
    """Return a noise's parameters, including those that its name omits because they have their default values."""
    try:
        options = known.noise(text).options
    except MdnbenchError:
        return "–"
    return ", ".join(f"{name} {names.show(value)}" for name, value in options) or "–"


def _metrics(results: Results, known: Registry) -> Table:
    """Return the table of the metrics."""
    rows = [
        (
            name.upper(), results.run.facts.metrics[name], f"{facts.direction} is better", facts.unit or "–",
            _versions(facts.packages), getattr(_spec(known.metrics, name), "citation", "") or "–",
        )
        for name, facts in results.run.facts.metric_facts.items()
    ]  # fmt: skip
    titles = ("Metric", "Revision", "Direction", "Unit", "Packages", "Citation")
    return Table.of("Metrics", list(map(words, titles)), rows)


def _images(results: Results) -> Table:
    """Return the table of the first 500 images."""
    rows = [(image, digest[:16]) for image, digest in list(results.run.facts.images.items())[:500]]
    return Table.of("Images", (words("Image"), words("SHA-256 of its pixels")), rows)


def _spec(specs: SpecTable[Any], text: str) -> Any:
    """Return the spec that a name with options or parameters refers to; None if its plugin is not installed here."""
    try:
        name = names.split_noise(text)[0] if specs.kind == "noise" else names.split_method(text)[0]
        return specs[name]
    except MdnbenchError:
        return None


def _versions(packages: Mapping[str, str]) -> str:
    """Return the names and versions of packages as one text."""
    return ", ".join(_pairs(packages.items())) or "–"


def _pairs(items: Iterable[tuple[str, str]]) -> list[str]:
    """Return names and versions as texts."""
    return [f"{name} {version}" for name, version in items]


def _time(text: str) -> str:
    """Return a time as the page shows it."""
    return f"{text[:16].replace('T', ' ')} UTC" if text else ""

"""Fingerprints of machines: a Dask worker is used only if its fingerprint agrees with the coordinator's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import registry
from mdnbench.engine import orders
from mdnbench.engine.tasks import Setup
from mdnbench.errors import MdnbenchError
from mdnbench.planning import environment
from mdnbench.registry import declared_files, variants
from mdnbench.registry.code import Digests
from mdnbench.registry.distributions import package_entry
from mdnbench.registry.file_origin import kind_of
from mdnbench.util import devices
from mdnbench.util.digests import of_parts

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.registry import Entry, Registry
    from mdnbench.registry.discovery import PluginSource
    from mdnbench.spec.records import Environment


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The fingerprint of a machine: what results depend on, what is known about the machine, and what it lacks.

    Attributes:
        versions: The versions of mdnbench's own source, of packages and of plugins' files, and the revisions of specs,
            each by name.
        environment: The facts that a run stores about the machine; None if it could not be examined.
        lacks: The reasons why the machine cannot compute the run.
    """

    versions: Mapping[str, str]
    environment: Environment | None
    lacks: tuple[str, ...] = ()

    def differences(self, there: Fingerprint) -> tuple[str, ...]:
        """Return the reasons why a worker with the fingerprint `there` cannot be used; empty if it can."""
        unlike = [
            f"{name} is {there.versions.get(name, 'missing')} there and {version} here"
            for name, version in self.versions.items()
            if there.versions.get(name) != version
        ]
        return (*there.lacks, *unlike)


def issue(known: Registry, setup: Setup, metrics: Sequence[str]) -> Fingerprint:
    """Return the fingerprint of this machine for a run.

    Raises:
        MdnbenchError: A plugin is missing or broken.
    """
    return Fingerprint(dict(_versions(known, setup, metrics)), environment.here(setup.device))


def inspect(setup: Setup, metrics: Sequence[str]) -> Fingerprint:
    """Return the fingerprint of a worker's machine, with what it lacks for the run. Call it in a process of its own."""
    os.environ.update(setup.variables)
    try:
        known = registry.load(setup.plugins)
        fingerprint = issue(known, setup, metrics)
        devices.choose(setup.device)
    except MdnbenchError as error:
        return Fingerprint({}, None, (str(error),))
    reasons = [_unprepared(known, name) for name in metrics]
    return Fingerprint(fingerprint.versions, fingerprint.environment, tuple(filter(None, reasons)))


def _unprepared(known: Registry, metric: str) -> str:
    spec = known.metric(metric)
    return (spec.prepare(False) or "") if spec.prepare else ""


def _versions(known: Registry, setup: Setup, metrics: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "mdnbench", f"{environment.version_of('mdnbench')} (source {own_digest()})"
    packages = ["numpy", "torch"]
    for job in setup.jobs:
        packages += variants.packages(known.denoisers[job.method.name], job.method)
    methods = {job.method.name: known.denoisers[job.method.name] for job in setup.jobs}
    noises = {job.noise.name: known.noises[job.noise.name] for job in setup.jobs}
    measures = {name: known.metric(name) for name in metrics}
    for package in dict.fromkeys([*packages, *(each for spec in measures.values() for each in spec.packages)]):
        yield package, environment.version_of(package)
    for kind, specs in (("method", methods), ("noise", noises), ("metric", measures)):
        yield from ((f"the revision of {kind} {name}", spec.revision) for name, spec in specs.items())
    entries: list[Entry[Any]] = [known.denoisers.entry(name) for name in methods]
    entries += [known.noises.entry(name) for name in noises]
    entries += [known.metrics.entry(name.partition("[")[0]) for name in measures]
    for source in dict.fromkeys(entry.source for entry in entries):
        yield from _code(known, source)
    digests = Digests()
    for entry in entries:
        for file in declared_files.records(entry.spec, entry.source, digests):
            yield f"{file.name} of the plugin {entry.source.name}", file.code[:12]


def _code(known: Registry, source: PluginSource) -> Iterator[tuple[str, str]]:
    """Yield the name and digest of each file of a plugin. Names are relative to the plugin's own folder."""
    if source.path is not None:
        for file in known.used(source):
            yield f"{file.name} of the plugin {source.name}", file.code[:12]
        return
    if not source.ours and kind_of(source.root) == "installed":
        entry = package_entry(source.distribution)
        yield (
            f"the distribution {source.distribution} of the plugin {source.name}",
            entry.content if entry else "missing",
        )
        return
    digests = Digests()
    for path in sorted(source.root.rglob("*.py")):
        inner = path.relative_to(source.root)
        if not any(part.startswith(".") or part == "site-packages" for part in inner.parts):
            yield f"{inner.as_posix()} of the plugin {source.name}", digests.of(path)[1][:12]


@cache
def own_digest() -> str:
    """Return a short digest of mdnbench's own code. Two checkouts can differ although their version is the same."""
    root = Path(__file__).parents[2]
    files = sorted(root.rglob("*.py"))
    content = [[path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")] for path in files]
    return of_parts("source", content)[:12]


class _FingerprintProcess:
    """A worker that takes the fingerprint of this machine.

    Its public methods are the orders that the process takes.
    """

    def inspect(self, setup: Setup, metrics: tuple[str, ...]) -> Fingerprint:
        """Return the fingerprint of this machine for a run."""
        return inspect(setup, metrics)


def serve(connection: Connection) -> None:
    """Take orders to inspect this machine, until the connection is closed."""
    orders.serve(connection, _FingerprintProcess)

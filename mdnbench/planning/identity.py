"""Identity by code: decide which stored results were computed by the present code.

A plan's base keys cover everything that can be known without running anything. In addition, the store has manifests,
which list the files that the processes of a method and a noise, or of a metric, have used so far. A stored result is
used for a run only if every file of its manifest is unchanged. Compiler caches work in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.errors import BadPlugin
from mdnbench.registry import code, declared_files
from mdnbench.registry.code import ABSENT, Digests
from mdnbench.registry.distributions import package_entry
from mdnbench.registry.file_origin import CORE
from mdnbench.spec.names import counted
from mdnbench.spec.records import Used, UsedFile
from mdnbench.store import Store, manifests
from mdnbench.store.rows import CodeManifest
from mdnbench.util.limits import MAX_RECORDED_PROCESSES

if TYPE_CHECKING:
    from mdnbench.planning.plan import Plan, PlannedMethod, PlannedNoise
    from mdnbench.registry import Entry, Registry, SpecTable
    from mdnbench.registry.discovery import PluginSource
    from mdnbench.spec.specs import NoiseSpec

METHOD, NOISE, METRIC, EVALUATION = "method", "noise", "metric", "evaluation"
ROOMS = ("evaluation",)  # folders of mdnbench itself whose code makes, checks and scores cases
SHOWN = 5
CHUNK = 256


@dataclass(frozen=True, slots=True)
class CodeChange:
    """A source whose code differs from the code of stored results: which files, and how many cells are affected."""

    source: str
    files: tuple[str, ...]
    cells: int

    def __str__(self) -> str:
        more = f" and {len(self.files) - SHOWN} more" if len(self.files) > SHOWN else ""
        changed = "has" if len(self.files) == 1 else "have"
        names = ", ".join(self.files[:SHOWN]) + more
        return f"{self.source}: {names} {changed} changed; {counted(self.cells, 'stored cell')} will be computed again."


class Manifests:
    """The stored manifests of some scopes, and their comparison with the present files.

    A scope is the key of a method under a noise, or of a metric. A role is 'method', 'noise', 'metric' or 'evaluation'.
    `roots` has for each scope the folder of each role's files. A run adds the files that it uses. Without a store there
    are no stored manifests.
    """

    def __init__(self, store: Store | None, roots: Mapping[str, Mapping[str, Path]]) -> None:
        self.digests = Digests()
        self._store = store
        self._roots = roots
        self._stored = manifests.of_scopes(store, roots) if store else {scope: [] for scope in roots}
        self._differences: dict[int, dict[str, list[str]]] = {}
        self._current: dict[str, CodeManifest] = {}  # the manifests under which results are stored from now on

    def fitting(self, scope: str) -> list[CodeManifest]:
        """Return the stored manifests of a scope whose files are all unchanged, newest first."""
        return [manifest for manifest in self._stored[scope] if not self._changed_files(manifest)]

    def outdated(self, scope: str) -> list[CodeManifest]:
        """Return the stored manifests of a scope if none of them fits."""
        return [] if self.fitting(scope) else self._stored[scope]

    def changed_files(self, scope: str) -> dict[str, list[str]]:
        """Return the files that have changed since the newest manifest of a scope, by role, as a message names them."""
        manifest = self._stored[scope][0]
        found = {}
        for role, names in self._changed_files(manifest).items():
            changed = [file for file in manifest.files[role] if file.name in names]
            found[role] = [self._shown(file, self._roots[scope].get(role)) for file in changed]
        return found

    def _shown(self, file: UsedFile, root: Path | None) -> str:
        is_gone = file.content != ABSENT and not code.present(file, root, self.digests)
        return f"{file.name} (gone)" if is_gone else file.name

    def _changed_files(self, manifest: CodeManifest) -> dict[str, list[str]]:
        if manifest.id not in self._differences:
            roots = self._roots[manifest.scope]
            found = {role: code.changed(files, roots.get(role), self.digests) for role, files in manifest.files.items()}
            self._differences[manifest.id] = {role: names for role, names in found.items() if names}
        return self._differences[manifest.id]

    def current(self, scope: str) -> CodeManifest | None:
        """Return the manifest under which results of a scope are stored; None if there is none yet."""
        if scope in self._current:
            return self._current[scope]
        return next(iter(self.fitting(scope)), None)

    def use(self, scope: str, files: Used, what: str) -> CodeManifest:
        """Store the scope's manifest with these files added. Call it inside a transaction.

        Args:
            scope: The scope.
            files: The files to add, by role.
            what: What the results were computed by, for the message of an error.

        Returns:
            The manifest.

        Raises:
            BadPlugin: The manifest has one of these files with other code, perhaps from another run at the same time.

        """
        assert self._store is not None
        current = self.current(scope)
        if current is None:
            current = self.new(scope, files)
        fresh = _news(current.files, files, what)
        if fresh or not current.id:  # another run may have stored or extended this manifest since it was read
            stored = manifests.of_scopes(self._store, [scope])[scope]
            same = [each for each in stored if current.id in (0, each.id) and each.token == current.token]
            current = same[0] if same else current
            fresh = _news(current.files, files, what)
        if not current.id:
            current = replace(current, id=manifests.add(self._store, current))
        elif fresh:
            manifests.grow(self._store, current.id, fresh)
            current = replace(current, files=manifests.joined(current.files, fresh))
        self._current[scope] = current
        return current

    def new(self, scope: str, files: Used) -> CodeManifest:
        """Return a manifest that is not stored yet.

        Its token differs from that of every manifest of other code, because it also depends on the files that are known
        to have changed.
        """
        changed = []
        for manifest in self._stored[scope]:
            for role, names in self._changed_files(manifest).items():
                root = self._roots[scope].get(role)
                known = [file for file in manifest.files[role] if file.name in names]
                changed += [[role, file.name, code.present(file, root, self.digests)] for file in known]
        listed = [[role, file.root, file.name, file.code] for role, found in sorted(files.items()) for file in found]
        return CodeManifest(scope, manifests.token_of(scope, listed, sorted(changed)), files)

    def static(self, entry: Entry[Any], known: Registry) -> tuple[UsedFile, ...]:
        """Return the files of a spec that are known before it runs.

        For mdnbench's own plugins these are all of their files, for others the files that were imported. The files that
        the spec declares are added.
        """
        source = entry.source
        files = code.listed("plugin", source.root, [source.root], self.digests) if source.ours else known.used(source)
        return declared_files.joined(files, declared_files.records(entry.spec, source, self.digests))

    @cached_property
    def evaluation(self) -> tuple[UsedFile, ...]:
        """Return the files of mdnbench itself that make, check and score cases."""
        return code.listed("mdnbench", CORE, [CORE / room for room in ROOMS], self.digests)


class MetricIdentity:
    """The code of metrics, which determines the keys of their scores."""

    def __init__(self, known: Registry, names: Iterable[str], store: Store | None) -> None:
        """Compare the code of metrics with the store.

        Args:
            known: The registry.
            names: Metrics, or settings of metrics such as `ssim[uniform]`, which use the manifest of their metric.
            store: The store, or None.

        """
        self._known = known
        self._names = tuple(names)
        roots = {self.scope(name): {METRIC: self.source(name).root} for name in self._names}
        self._manifests = Manifests(store, roots)
        self._store = store

    def source(self, name: str) -> PluginSource:
        """Return the source of a metric."""
        return self._known.metrics.entry(manifests.plain_metric(name)).source

    def scope(self, name: str) -> str:
        """Return the key of a metric's manifests."""
        return manifests.metric_scope(name, self._known.metrics[manifests.plain_metric(name)].revision)

    @cached_property
    def scored_as(self) -> dict[str, str]:
        """Return the key under which each metric's scores are stored: its revision, and the token of its code."""
        return {
            name: manifests.scored_as(
                self._known.metrics[manifests.plain_metric(name)].revision, self._manifest(name).token
            )
            for name in self._names
        }

    def _manifest(self, name: str) -> CodeManifest:
        """Return the manifest of a metric that fits, or a new one that is not stored yet."""
        found = self._manifests.current(self.scope(name))
        if found:
            return found
        entry = self._known.metrics.entry(manifests.plain_metric(name))
        files = self._manifests.static(entry, self._known)
        if entry.source.ours:  # they share a process, so the files that each of them loads cannot be told apart
            packages = dict.fromkeys(["numpy", *entry.spec.packages])
            files += tuple(entry for entry in map(package_entry, packages) if entry)
        return self._manifests.new(self.scope(name), {METRIC: files, EVALUATION: self._manifests.evaluation})

    def files(self, name: str) -> tuple[UsedFile, ...]:
        """Return the files and packages of a metric that count."""
        return self._manifest(name).files[METRIC]

    def begin(self) -> None:
        """Store the new manifests, because scores refer to them by their tokens."""
        assert self._store is not None
        with self._store.transaction():
            for name in self._names:
                manifest = self._manifest(name)
                self._manifests.use(manifest.scope, manifest.files, f"the metric {name!r}")

    def record(self, name: str, files: tuple[UsedFile, ...]) -> None:
        """Add files that a metric has used to its manifest. Call it inside a transaction.

        Raises:
            BadPlugin: One of the files has changed since earlier results, or since the run was planned.

        """
        what = f"the metric {name!r}"
        _require_planned(what, self.source(name), files)
        self._manifests.use(self.scope(name), {METRIC: files}, what)

    def changes(self) -> Iterator[tuple[str, str]]:
        """Yield the source and the file of everything that has changed since scores were stored."""
        for name in self._names:
            if self._manifests.outdated(self.scope(name)):
                for role, files in self._manifests.changed_files(self.scope(name)).items():
                    source = self.source(name).address if role == METRIC else "mdnbench"
                    yield from ((source, file) for file in files)


class CodeIdentity:
    """The code that a plan's outputs and scores depend on."""

    def __init__(self, plan: Plan, store: Store | None) -> None:
        self._plan = plan
        self._store = store
        self.metrics = MetricIdentity(plan.registry, plan.metrics, store)
        roots = {
            plan.scope(work): {role: source.root for role, source in self._sources(work).items()} for work in plan.works
        }
        self._manifests = Manifests(store, roots)
        self._scopes: dict[int, str] = {}  # by work
        self._tokens: dict[int, list[str]] = {}  # by work
        self._recorded: dict[int, list[Used]] = {}  # by work, the latest files of each slot: most cells use no new ones

    def _sources(self, work: PlannedMethod) -> dict[str, PluginSource]:
        method = self._plan.registry.denoisers.entry(work.named.name)
        return {METHOD: method.source, NOISE: self._noise(work).source}

    def _noise(self, work: PlannedMethod) -> Entry[NoiseSpec]:
        return self._plan.registry.noises.entry(work.noise.named.name)

    def keys(self, work: PlannedMethod, base: str) -> list[str]:
        """Return the keys under which the store may have an output that the present code would compute."""
        if work.index not in self._tokens:
            fitting = self._manifests.fitting(self._plan.scope(work))
            self._tokens[work.index] = [manifest.token for manifest in fitting]
        return [manifests.output_key(base, token) for token in self._tokens[work.index]]

    def token(self, work: PlannedMethod) -> str:
        """Return the token of the manifest under which a work's results are stored; '' if there is none yet."""
        manifest = self._manifests.current(self._plan.scope(work))
        return manifest.token if manifest else ""

    def record(self, work: PlannedMethod, used: Used) -> CodeManifest:
        """Add files to the manifest of a work and return it. Call it inside a transaction.

        Args:
            work: The work.
            used: The files that the processes of the work have used, by role.

        Raises:
            BadPlugin: A file has changed since earlier results, or since the run was planned.

        """
        scope = self._scope(work)
        known, recorded = self._manifests.current(scope), self._recorded.setdefault(work.index, [])
        if known and any(each is used for each in recorded):
            return known
        sources = self._sources(work)
        noise = used.get(NOISE) or self._manifests.static(self._noise(work), self._plan.registry)
        files = {METHOD: used.get(METHOD, ()), NOISE: noise, EVALUATION: self._manifests.evaluation}
        for role, name in ((METHOD, work.named.name), (NOISE, work.noise.named.name)):
            _require_planned(f"the {role} {name!r}", sources[role], files[role])
        manifest = self._manifests.use(scope, files, f"the method {work.named.name!r} of {sources[METHOD].address}")
        self._recorded[work.index] = [*recorded[-MAX_RECORDED_PROCESSES:], used]
        return manifest

    def manifests_of(self, noise: PlannedNoise) -> list[int]:
        """Return the ids of the manifests that results under a noise may have now, for all methods."""
        found = []
        for work in self._plan.works:
            if work.noise is noise:
                scope = self._scope(work)
                current = self._manifests.current(scope)
                found += [each.id for each in self._manifests.fitting(scope)] + ([current.id] if current else [])
        return list(dict.fromkeys(found))

    def _scope(self, work: PlannedMethod) -> str:
        if work.index not in self._scopes:
            self._scopes[work.index] = self._plan.scope(work)
        return self._scopes[work.index]

    def changes(self) -> list[CodeChange]:
        """Return what has changed since the stored results were computed, one entry per source."""
        files: dict[str, dict[str, None]] = {}
        cells: dict[str, int] = {}
        for work in self._plan.works:
            scope, sources = self._plan.scope(work), self._sources(work)
            outdated = self._manifests.outdated(scope)
            affected = self._stored_cells(work, outdated) if outdated else 0
            if not affected:
                continue
            for role, names in self._manifests.changed_files(scope).items():
                source = sources[role].address if role in sources else "mdnbench"
                files.setdefault(source, {}).update(dict.fromkeys(names))
                cells[source] = cells.get(source, 0) + affected
        for source, name in self.metrics.changes():
            files.setdefault(source, {})[name] = None
            cells.setdefault(source, self._plan.size)
        return [CodeChange(source, tuple(names), cells[source]) for source, names in files.items()]

    def _stored_cells(self, work: PlannedMethod, outdated: Sequence[CodeManifest]) -> int:
        """Return how many cells of a work are stored under these manifests."""
        assert self._store is not None
        count = 0
        cases = self._plan.case_keys(work.noise)
        for start in range(0, len(cases), CHUNK):
            held: set[str] = set()
            bases = [self._plan.output_key(work, case) for case in cases[start : start + CHUNK]]
            for manifest in outdated:
                keys = {manifests.output_key(base, manifest.token): base for base in bases}
                held |= {keys[key] for key, row in self._store.outputs(list(keys)).items() if row.status == "ok"}
            count += len(held)
        return count


def what_counts(known: Registry, kind: str, name: str, store: Store | None) -> dict[str, list[str]]:
    """Return the files and packages that count for a 'method', 'noise' or 'metric', by their place.

    These are the files that the newest stored results have used. If there are none, they are the files that are known
    before it runs. The files that its spec declares are always among them.

    Args:
        known: The registry.
        kind: 'method', 'noise' or 'metric'.
        name: The name.
        store: The store, or None.

    """
    spec_tables: dict[str, SpecTable[Any]] = {METHOD: known.denoisers, NOISE: known.noises, METRIC: known.metrics}
    entry = spec_tables[kind].entry(name)
    source = entry.source
    files: tuple[UsedFile, ...] = ()
    if store and kind == METHOD:
        files = manifests.newest_of_method(store, name).get(METHOD, ())
    elif store and kind == METRIC:
        identity = MetricIdentity(known, [name], store)
        files = identity.files(name)
    static = Manifests(None, {}).static(entry, known)
    files = declared_files.joined(files, declared_files.records(entry.spec, source, Digests())) if files else static
    places = {"plugin": str(source.root), "mdnbench": "mdnbench", "package": "packages", "file": "files"}
    found: dict[str, list[str]] = {}
    for file in files:
        shown = f"{file.name} {file.content.partition('+')[0]}" if file.root == "package" else file.name
        found.setdefault(places[file.root], []).append(shown)
    return found


def _news(known: Used, used: Used, what: str) -> dict[str, tuple[UsedFile, ...]]:
    """Return the files that a manifest lacks; raise BadPlugin if it has one of them with other code."""
    news: dict[str, tuple[UsedFile, ...]] = {}
    for role, files in used.items():
        here = {(file.root, file.name): file for file in known.get(role, ())}
        for file in files:
            earlier = here.get((file.root, file.name))
            if earlier and earlier.code != file.code:
                raise _changed(what, file.name)
        fresh = tuple(file for file in files if (file.root, file.name) not in here)
        if fresh:
            news[role] = fresh
    return news


def _require_planned(what: str, source: PluginSource, files: tuple[UsedFile, ...]) -> None:
    """Refuse results of a plugin whose own file was edited after the run was planned, because the spec is outdated."""
    if source.path is None:
        return
    name = source.path.relative_to(source.root).as_posix()
    for file in files:
        if (file.root, file.name) == ("plugin", name) and file.code != source.code:
            raise _changed(f"{what} of {source.address}", name)


def _changed(what: str, name: str) -> BadPlugin:
    return BadPlugin(
        f"{what}, or a file that it is made of, has changed since the run was planned ({name}); put the former file "
        "back, or run again with the new one."
    )

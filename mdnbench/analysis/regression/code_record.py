"""Record the code behind a run's numbers for its baseline.

The record holds the digests of files, by the method, noise or metric that uses them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.planning.identity import EVALUATION, METHOD, METRIC, NOISE
from mdnbench.registry.code import ABSENT
from mdnbench.store import manifests
from mdnbench.util.digests import of_parts

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.spec.records import Used, UsedFile

SHORT = 12  # characters of a digest: enough to distinguish two versions of one file, and short enough to read
PLUGIN = "plugin"  # the entry with the plugin's name; the entries of its files begin with "plugin: "
PACKAGE = "package: "
_BEHIND = """
    SELECT u.noise, u.method, m.files FROM (
        SELECT c.noise, c.method, o.manifest, min(c.position) AS first
        FROM run_cells c JOIN outputs o ON o.id = c.output WHERE c.run = ? AND o.status = 'ok'
        GROUP BY c.noise, c.method, o.manifest
    ) u JOIN manifests m ON m.id = u.manifest ORDER BY u.first
"""
_METRIC = "SELECT files FROM manifests WHERE scope = ? AND token = ? ORDER BY id DESC LIMIT 1"

CodeRecord = dict[str, dict[str, str]]  # digests by file, by 'method NAME', 'noise NAME', 'metric NAME' or 'evaluation'


def of_run(results: Results) -> CodeRecord:
    """Return the digests of the files behind a run's numbers, taken from the manifests of its store.

    Args:
        results: The results of the run.

    Returns:
        By 'method NAME', 'noise NAME', 'metric NAME' or 'evaluation', a table of digests by file. The name of a file is
        relative to its plugin's folder. A package has its version instead of a digest. Whatever has no manifest in the
        store is left out.
    """
    found: CodeRecord = {}
    for noise, method, text in results.store.select(_BEHIND, (results.run.id,)):
        used = manifests.decoded(text)
        _add(found, f"{METHOD} {method}", _own(used, METHOD))
        _add(found, f"{NOISE} {noise}", used.get(NOISE, ()))
        _add(found, EVALUATION, used.get(EVALUATION, ()))
    for metric, stored_as in results.run.scored_as.items():
        revision, _, token = stored_as.partition("+")
        scope = of_parts("metric", _plain(metric), revision)
        for (text,) in results.store.select(_METRIC, (scope, token)):
            _add(found, f"{METRIC} {metric}", _own(manifests.decoded(text), METRIC))
    plugins = results.run.facts.plugins
    named = {key: {PLUGIN: plugins[key]} if key in plugins else {} for key in found}
    return {key: named[key] | dict(sorted(found[key].items())) for key in sorted(found)}


def packages(table: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of the packages behind a method, noise or metric."""
    return {name.removeprefix(PACKAGE): version for name, version in table.items() if name.startswith(PACKAGE)}


def files(table: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of the files behind a method, noise or metric."""
    return {name: digest for name, digest in table.items() if name != PLUGIN and not name.startswith(PACKAGE)}


def _own(used: Used, role: str) -> tuple[UsedFile, ...]:
    """Return the files of a role, without those that evaluate every method, which have a table of their own."""
    shared = {(file.root, file.name) for file in used.get(EVALUATION, ())}
    return tuple(file for file in used.get(role, ()) if (file.root, file.name) not in shared)


def _add(found: CodeRecord, key: str, used: Iterable[UsedFile]) -> None:
    table = found.setdefault(key, {})
    elsewhere: dict[str, list[str]] = {}
    for file in used:
        digest = file.code if file.code == ABSENT else file.code[:SHORT]
        if file.root == "package":
            table[f"{PACKAGE}{file.name}"] = file.content.rpartition("+")[0] or file.content
        elif file.root == "file":  # by its name without folders, because other people have the file in other folders
            elsewhere.setdefault(f"file: {Path(file.name).name}", []).append(digest)
        else:
            table[f"{file.root}: {file.name}"] = digest
    table.update({name: " ".join(sorted(digests)) for name, digests in elsewhere.items()})


def _plain(name: str) -> str:
    """Return the name of a metric without its setting."""
    return name.partition("[")[0]

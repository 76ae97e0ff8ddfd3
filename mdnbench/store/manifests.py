"""The manifests of a store: lists of the files that results were computed with. They show which file was edited."""

from __future__ import annotations

import json
import ntpath
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import cast, get_args

from mdnbench.errors import StoreError
from mdnbench.spec.records import Root, Used, UsedFile
from mdnbench.store.database import MORE, Store, now
from mdnbench.store.rows import CodeManifest
from mdnbench.util import jsonfile, limits
from mdnbench.util.digests import of_parts
from mdnbench.util.untrusted import shortened

Texts = dict[str, tuple[tuple[str, str, str, str], ...]]  # by role, the fields of each file
TOKEN_LENGTH = 16  # characters
OPENINGS = "openings by "  # what the scopes of some manifests begin with; all others are digests


def token_of(scope: str, *code: object) -> str:
    """Return a token for a manifest: a digest of its scope and of what is known about its code when it is begun."""
    return of_parts("manifest", scope, *code)[:TOKEN_LENGTH]


def output_key(base: str, token: str) -> str:
    """Return the key of an output: its base key, and the token of the manifest of the code behind it."""
    return of_parts("code", base, token)


def metric_scope(name: str, revision: str) -> str:
    """Return the scope of a metric's manifests; all settings of a metric share it."""
    return of_parts("metric", plain_metric(name), revision)


def openings_scope(method: str) -> str:
    """Return the scope of the manifests that record which tested files a method has opened."""
    return OPENINGS + method


def plain_metric(name: str) -> str:
    """Return the metric of a name that may have a setting: `ssim` of `ssim[uniform]`."""
    return name.partition("[")[0]


def scored_as(revision: str, token: str) -> str:
    """Return what scores of a metric are stored under: its revision, and the token of the manifest of its code."""
    return f"{revision}+{token}"


def of_scopes(store: Store, scopes: Iterable[str]) -> dict[str, list[CodeManifest]]:
    """Return the manifests of these scopes, newest first."""
    found: dict[str, list[CodeManifest]] = {}
    for scope in dict.fromkeys(scopes):
        rows = store.select("SELECT id, token, files FROM manifests WHERE scope = ? ORDER BY id DESC", (scope,))
        found[scope] = [CodeManifest(scope, token, _files_of(store, files), number) for number, token, files in rows]
    return found


def of_run(store: Store, run: int, method: str) -> Iterator[Used]:
    """Yield the files behind the results of a method in a run."""
    query = """
        SELECT files FROM manifests WHERE id IN (
            SELECT DISTINCT o.manifest FROM run_cells c JOIN outputs o ON o.id = c.output
            WHERE c.run = ? AND c.method = ? AND o.status = 'ok')
    """
    for (files,) in store.select(query, (run, method)):
        yield _files_of(store, files)


def contradict(one: Iterable[Used], other: Iterable[Used]) -> bool:
    """Return whether a file of the same role and name has different code in the two."""
    known = {(role, file.root, file.name): file.code for used in one for role in used for file in used[role]}
    for used in other:
        for role, files in used.items():
            if any(known.get((role, file.root, file.name), file.code) != file.code for file in files):
                return True
    return False


def newest_of_method(store: Store, method: str) -> Used:
    """Return the files behind the newest results of a method with any options; empty if there are none."""
    query = """
        SELECT files FROM manifests WHERE id = (
            SELECT max(manifest) FROM outputs WHERE status = 'ok' AND (method = ? OR method GLOB ? || '[[]*'))
    """
    found = next(store.select(query, (method, method)), None)
    return _files_of(store, found[0]) if found else {}


def add(store: Store, manifest: CodeManifest) -> int:
    """Store a new manifest and return its id. Call inside a transaction."""
    values = (manifest.scope, manifest.token, now(), encoded(manifest.files))
    cursor = store.connection.execute(
        "INSERT INTO manifests (scope, token, created, files) VALUES (?, ?, ?, ?)", values
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def grow(store: Store, manifest: int, files: Used) -> None:
    """Add files to a manifest that another process may have added to. Call inside a transaction."""
    (stored,) = next(store.select("SELECT files FROM manifests WHERE id = ?", (manifest,)))
    merged = joined(_files_of(store, stored), files)
    store.connection.execute("UPDATE manifests SET files = ? WHERE id = ?", (encoded(merged), manifest))


def joined(one: Used, other: Used) -> dict[str, tuple[UsedFile, ...]]:
    """Return the files of both. A file that is in both is returned as in the first."""
    found: dict[str, dict[tuple[str, str], UsedFile]] = {}
    for used in (other, one):
        for role, files in used.items():
            found.setdefault(role, {}).update({(file.root, file.name): file for file in files})
    return {role: tuple(files[key] for key in sorted(files)) for role, files in sorted(found.items())}


def encoded(used: Used) -> str:
    """Return the text that the store contains for files.

    Raises:
        StoreError: There are more files than the store would read again.
    """
    count = sum(map(len, used.values()))
    if count > limits.MAX_COUNTED_FILES:
        raise StoreError(
            f"{count:,} files are behind one result; at most {limits.MAX_COUNTED_FILES:,} are allowed. Keep the data "
            "of a plugin in fewer and larger files."
        )
    table = {role: [[file.root, file.name, file.content, file.code] for file in files] for role, files in used.items()}
    return json.dumps(table, sort_keys=True, ensure_ascii=True)


def decoded(text: str) -> Mapping[str, tuple[UsedFile, ...]]:
    """Return the files that a text of the store describes.

    Raises:
        ValueError: The text describes no files.
    """
    table = jsonfile.parse(text, Texts)
    count = sum(map(len, table.values()))
    if count > limits.MAX_COUNTED_FILES:
        raise ValueError(f"it names {count:,} files; at most {limits.MAX_COUNTED_FILES:,} are allowed")
    for files in table.values():
        for root, name, *_ in files:
            if not _is_normal(root, name):
                raise ValueError(f"it names {shortened(name)}, which is not how the name of such a file is written")
    return {role: tuple(UsedFile(cast("Root", root), *rest) for root, *rest in files) for role, files in table.items()}


def _is_normal(root: str, name: str) -> bool:
    """Whether a name is the only way to write it: one file under many names would be read as often."""
    if root == "package":
        return bool(name) and "/" not in name and "\\" not in name
    if root not in get_args(Root) or not name or "\0" in name:
        return False
    if root == "file":  # an absolute path, of whatever system
        plain = name.replace("\\", "/")
        return any(path.isabs(name) and path.normpath(name).replace("\\", "/") == plain for path in (posixpath, ntpath))
    return not posixpath.isabs(name) and posixpath.normpath(name) == name and name.split("/")[0] != ".."


def _files_of(store: Store, text: str) -> Mapping[str, tuple[UsedFile, ...]]:
    try:
        return decoded(text)
    except ValueError as error:
        raise StoreError(f"the store {store.path} is damaged: a manifest: {error}. {MORE}") from None

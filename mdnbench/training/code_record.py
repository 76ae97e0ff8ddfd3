"""The code that a training uses. A checkpoint is continued only if the files behind it have not changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from mdnbench.registry import code, declared_files, sources
from mdnbench.spec.records import UsedFile

if TYPE_CHECKING:
    from mdnbench.registry import Entry
    from mdnbench.registry.discovery import PluginSource

Saved: TypeAlias = "Mapping[str, Sequence[Sequence[str]]]"  # by source: the fields of each UsedFile


class TrainingSources:
    """The sources of a training's network, loss and noises.

    Args:
        entries: The specs with their sources, by what they provide: `method`, or a noise such as `noise gaussian`.
    """

    def __init__(self, entries: Mapping[str, Entry[Any]]) -> None:
        self._sources = {what: entry.source for what, entry in entries.items()}
        self._digests = code.Digests()
        self._declared = {
            what: declared_files.records(entry.spec, entry.source, self._digests) for what, entry in entries.items()
        }  # as they are when the training begins

    def used(self) -> dict[str, list[list[str]]]:
        """Return the files that each source has declared or used so far, in the form that a checkpoint stores."""
        found = {}
        for what, source in self._sources.items():
            files = declared_files.joined(self._files(source), self._declared[what])
            found[what] = [[file.root, file.name, file.content, file.code] for file in files]
        return found

    def changed(self, saved: Saved) -> list[str]:
        """Return the names of a checkpoint's files that have changed since it was saved."""
        names: list[str] = []
        for what, source in self._sources.items():
            files = [UsedFile(*fields) for fields in saved.get(what, ())]  # type: ignore[arg-type]
            names += code.changed(files, source.root, self._digests)
        return list(dict.fromkeys(names))

    def _files(self, source: PluginSource) -> tuple[UsedFile, ...]:
        if source.ours:
            return code.listed("plugin", source.root, [source.root], self._digests)
        return sources.files(source)

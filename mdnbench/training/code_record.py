"""The code that a training uses. A checkpoint is continued only if the files behind it have not changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from mdnbench.registry import code, sources
from mdnbench.spec.records import UsedFile

if TYPE_CHECKING:
    from mdnbench.registry.discovery import PluginSource

Saved: TypeAlias = "Mapping[str, Sequence[Sequence[str]]]"  # by source: the fields of each UsedFile


class TrainingSources:
    """The sources of a training's network, loss and noises.

    Args:
        plugin_sources: The sources by what they provide: `method`, or a noise such as `noise gaussian`.
    """

    def __init__(self, plugin_sources: Mapping[str, PluginSource]) -> None:
        self._sources = dict(plugin_sources)
        self._digests = code.Digests()

    def used(self) -> dict[str, list[list[str]]]:
        """Return the files that each source has used so far in this process, in the form that a checkpoint stores."""
        return {
            what: [[file.root, file.name, file.content, file.code] for file in self._files(source)]
            for what, source in self._sources.items()
        }

    def changed(self, saved: Saved) -> list[str]:
        """Return the names of a checkpoint's files that have changed since it was saved."""
        names: list[str] = []
        for what, source in self._sources.items():
            files = [UsedFile(*fields) for fields in saved.get(what, ())]  # type: ignore[arg-type]
            names += code.changed(files, source.root, self._digests)
        return list(dict.fromkeys(names))

    def _files(self, source: PluginSource) -> Iterable[UsedFile]:
        if source.ours:
            return code.listed("plugin", source.root, [source.root], self._digests)
        return sources.files(source)

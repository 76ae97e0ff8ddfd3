"""The comparison of the files that a worker has used for a cell with the files of this machine.

A fingerprint has the files that a plugin's import loads. A method may load others when it is built, or later.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mdnbench.engine.tasks import Setup, Task
from mdnbench.planning.identity import METHOD, METRIC, NOISE
from mdnbench.registry import code
from mdnbench.registry.code import Digests
from mdnbench.registry.distributions import package_entry
from mdnbench.registry.loaded_modules import MODULES
from mdnbench.spec.records import Used, UsedFile

if TYPE_CHECKING:
    from mdnbench.registry.discovery import PluginSource

_RECORD = re.compile(r"\+[0-9a-f]{16}$")  # the digest of a RECORD, which also differs with the place of an environment


class CodeComparison:
    """Compares what workers have used with what is here. Several threads may use it."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._digests = Digests()
        self._last: dict[int, Used] = {}  # by job; most cells use no other files than the one before
        self._alike: set[tuple[PluginSource, UsedFile]] = set()
        self._comparing = threading.Lock()

    def difference(self, task: Task, used: Used) -> str:
        """Return how a file that a worker has used for a task differs from the one here; '' if none does."""
        with self._comparing:
            if used == self._last.get(task.job):
                return ""
            for role, source in self._sources(task):
                for file in used.get(role, ()):
                    if (source, file) in self._alike:
                        continue
                    if self._differs(file, source):
                        return self._words(file, source)
                    self._alike.add((source, file))
            self._last[task.job] = used
            return ""

    def _sources(self, task: Task) -> Iterator[tuple[str, PluginSource]]:
        job = self._setup.jobs[task.job]
        if job.method_source:
            yield METHOD, job.method_source
        yield NOISE, job.noise_source
        for name in task.metrics:
            yield f"{METRIC} {name}", self._setup.metrics[name]

    def _differs(self, file: UsedFile, source: PluginSource) -> bool:
        """Return whether a file differs.

        Code that is missing here differs. Data outside the plugin's folder does not: caches of libraries, for example,
        are in other places on other machines.
        """
        if file.root == "package":
            entry = package_entry(file.name)
            return entry is None or _version(entry) != _version(file)
        if not code.changed([file], source.root, self._digests):
            return False
        return file.root != "file" or file.name.endswith(MODULES) or os.path.lexists(file.name)

    def _words(self, file: UsedFile, source: PluginSource) -> str:
        if file.root == "package":
            entry = package_entry(file.name)
            there, here = _version(file), _version(entry) if entry else "missing"
        else:
            there, here = file.code[:12], code.present(file, source.root, self._digests)[:12] or "missing"
        advice = ""
        if file.root == "plugin" and not file.name.endswith(MODULES):
            advice = "; name it in `files` of the spec, and it is sent"
        return f"{file.name}, which the plugin {source.name} uses, is {there} there and {here} here{advice}"


def _version(entry: UsedFile) -> str:
    return _RECORD.sub("", entry.content)

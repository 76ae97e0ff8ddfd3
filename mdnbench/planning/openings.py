"""Methods that opened a file of the tested data in an earlier run.

A method may save what it has read, and use it later without opening the file again. While its code is the same, its
cells for these data stay invalid.
"""

from __future__ import annotations

import contextlib
import os
from functools import cached_property
from pathlib import Path

from mdnbench.planning.identity import METHOD
from mdnbench.planning.plan import Plan, PlannedMethod
from mdnbench.registry import code
from mdnbench.registry.code import ABSENT, PYTHON, Digests
from mdnbench.registry.loaded_modules import COMPILED
from mdnbench.spec.records import Used, UsedFile
from mdnbench.store import Store, manifests
from mdnbench.store.rows import CodeManifest

TESTED = "tested"  # the role of the opened file in a manifest; the files of the role 'method' are the code


class Openings:
    """The openings of tested files that a store has recorded, as far as they concern a plan.

    They belong to a method with any options under any noise. Only its code decides whether they still count: what else
    it has read is perhaps what it has saved.
    """

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._store = store
        self._digests = Digests()
        self._found: dict[str, str] = {}  # by method

    def of(self, work: PlannedMethod) -> str:
        """Return the name of a tested file that the present code of a method has opened; '' if it has not."""
        method = work.named.name
        if method not in self._found:
            scope = manifests.openings_scope(method)
            rows = manifests.of_scopes(self._store, [scope])[scope]
            names = [Path(row.files[TESTED][0].name).name for row in rows if self._counts(work, row)]
            self._found[method] = names[0] if names else ""
        return self._found[method]

    def record(self, work: PlannedMethod, used: Used, opened: str) -> None:
        """Record that a method has opened a tested file. Call it inside a transaction."""
        files = tuple(file for file in used.get(METHOD, ()) if _is_code(file))
        self._found[work.named.name] = Path(opened).name
        if not files:
            return
        try:
            tested = UsedFile("file", os.path.abspath(opened), *self._digests.of(opened))  # noqa: PTH100
        except OSError:  # it is gone already
            return
        scope = manifests.openings_scope(work.named.name)
        listed = [[file.root, file.name, file.code] for file in (*files, tested)]
        token = manifests.token_of(scope, listed)
        manifests.add(self._store, CodeManifest(scope, token, {METHOD: files, TESTED: (tested,)}))

    @cached_property
    def _tested(self) -> frozenset[str]:
        """Return the digests of the tested files: under other names they are the same data."""
        found = set()
        for path in self._plan.tested:
            with contextlib.suppress(OSError):
                found.add(self._digests.content(path))
        return frozenset(found)

    def _counts(self, work: PlannedMethod, row: CodeManifest) -> bool:
        """Return whether a record is about the present code and about data that are tested now."""
        files, tested = row.files.get(METHOD), row.files.get(TESTED)
        if not files or not tested or tested[0].content not in self._tested:
            return False
        root = self._plan.registry.denoisers.entry(work.named.name).source.root
        return not code.changed(files, root, self._digests)


def reason(name: str) -> str:
    """Return the reason for the cells of a method that has opened a tested file of this name."""
    return (
        f"the method opened {name}, a file of the data set that it is tested on; it must see the noisy image alone. It "
        "may have saved what it read, so all its cells are invalid while its code is the same. Change the code so that "
        "it does not open the file, and delete what it has saved."
    )


def _is_code(file: UsedFile) -> bool:
    if file.root in ("package", "mdnbench"):
        return True
    return file.content != ABSENT and file.name.endswith((*PYTHON, *COMPILED))

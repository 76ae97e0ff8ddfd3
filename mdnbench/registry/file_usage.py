"""Record every file that a process uses: the modules that it loads and the other files that it reads.

What counts:

- *Modules loaded after `begin`* that are not in the standard library or in an installed distribution: Python files,
  and compiled files (by their bytes). Below the plugin's root their record is 'plugin', elsewhere 'file'. For an
  installed module the whole distribution counts ('package'). Modules of an editable install, and modules that no
  distribution lists, count as files.
- *Packages of mdnbench's own distribution*: mdnbench_* below the root as 'plugin', otherwise not. Of mdnbench itself
  only the folders in `ROOMS` ('mdnbench'), even if they were loaded before `begin`.
- *Distributions loaded before `begin`*: NumPy, torch, the distributions in `packages`, and those that provide a module
  that a counted Python file names in an import statement, anywhere in its text.
- *Other files that are read*, by Python (audit hook) or by C code and child programs (`opens`), below the root.
  Outside the root only files that Python or ctypes opens, that are older than `begin`, and that are in no folder of
  the system, of packages, of mdnbench or for temporary files.
- *Files below the root that could not be opened because they do not exist*, as "absent". So are the files
  that Python would load in place of a module: a package next to it, or a module in an earlier folder of `sys.path`.
- *Files that a spec declares* in its field `files`, in any folder, whether anything opens them or not.
- Whatever children that fork from this process import and open, by the same rules.

What never counts, unless a spec declares it: files that this process or a child creates, opens for writing or moves to
their place (a file that is opened for update counts until it changes); bytecode and compilers' caches; lock files;
anything that is not a regular file; anything below a folder of `opens.SKIPPED` or below MDNBENCH_HOME.

What is not seen: modules loaded before `begin` that are imported only by a computed name; files whose existence is only
tested (`os.path.exists`); names relative to a folder's descriptor; outside the root, files that C code opens, and files
that programs open that are not forks of this process.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.registry import declared_files
from mdnbench.registry.audit_hook import UPDATED
from mdnbench.registry.code import ABSENT, PYTHON, Digests
from mdnbench.registry.distributions import distribution_of_file, package_entry
from mdnbench.registry.file_access import Accesses
from mdnbench.registry.file_origin import CORE, is_regular, kind_of, own_package
from mdnbench.registry.file_scope import CACHES, Scope
from mdnbench.registry.installed_packages import normalised
from mdnbench.registry.loaded_modules import BYTECODE, MODULES, LoadedModules, container_of, file_of, would_hide
from mdnbench.spec.records import Root, UsedFile

if TYPE_CHECKING:
    from mdnbench.registry.declared_files import Declaring
    from mdnbench.registry.discovery import PluginSource

ROOMS = ("evaluation", "wrappers", "training/deploy")  # the folders of mdnbench whose code produces results
ALWAYS = ("numpy", "torch")  # modules


class Usage:
    """A record of every file that this process uses.

    Create one object per process, and call `begin` before the plugin is imported.

    Args:
        root: The plugin's repository or folder.
        packages: Distributions that always count, for a plugin that is an installed package.
        watched: Folders whose files `opened` reports even if C code opens them.

    """

    def __init__(self, root: Path, packages: Sequence[str] = (), watched: Sequence[Path] = ()) -> None:
        self._root = root
        self._given = tuple(packages)
        self._accesses = Accesses(root, watched)
        self._named: set[str] = set()  # modules that counted files import
        self._entries: dict[tuple[str, str], UsedFile] = {}  # by root and name
        self._places: dict[tuple[str, str], str] = {}  # the real path of each entry that is a file
        self._listed: tuple[UsedFile, ...] = ()
        self._digests = Digests()
        self._pid = os.getpid()

    def begin(self) -> None:
        """Start to record; the modules that are loaded now are the baseline."""
        self._pid = os.getpid()
        began = time.time_ns()
        self._scope = Scope(self._root, began)
        self._loaded = LoadedModules()
        self._accesses.begin(began)

    def close(self) -> None:
        """Stop recording."""
        self._accesses.close()

    def files(self) -> tuple[UsedFile, ...]:
        """Return records of all files used so far, sorted; each digest is of the time when the file was first seen."""
        if os.getpid() == self._pid:
            with self._accesses.notes.paused():
                self._accesses.gather()
                if self._accesses.notes.imported or self._accesses.waiting():
                    self._count()
        return self._listed

    def declare(self, spec: Declaring, source: PluginSource) -> None:
        """Count the files that a spec declares, with their present digests; call it before the spec is used.

        They count even if this process writes them later.
        """
        if not spec.files or os.getpid() != self._pid:
            return
        with self._accesses.notes.paused():
            self._accesses.gather()
            for file in declared_files.records(spec, source, self._digests):
                self._entries.setdefault((file.root, file.name), file)
                self._places.pop((file.root, file.name), None)
            read = declared_files.paths(spec, source)
            self._accesses.poll(frozenset(os.path.realpath(path) for path in read))
        self._listed = tuple(sorted(self._entries.values()))
        self._digests.save()

    def opened(self) -> tuple[Path, ...]:
        """Return the real paths of files opened for reading since the last call, in any folder.

        Python files and compiled files of the standard library and of installed packages are left out.
        """
        if os.getpid() != self._pid:
            return ()
        with self._accesses.notes.paused():
            self._accesses.gather()
        return self._accesses.opened()

    # ---- Counting ----------------------------------------------------------------------------------------------------

    def _count(self) -> None:
        before = frozenset(self._places)
        taken = self._accesses.take()
        for path, what in taken.items():
            self._count_opened(path, what)
        if self._accesses.notes.imported or taken:
            self._accesses.notes.imported = False
            for file in self._loaded.new_files():
                self._count_module(file)
            self._count_packages()
            self._count_hiding()
        self._drop_written()
        self._accesses.poll(frozenset(real for key, real in self._places.items() if key not in before))
        self._listed = tuple(sorted(self._entries.values()))
        self._digests.save()

    def _count_opened(self, path: str, what: str) -> None:
        if path.endswith(BYTECODE):
            with contextlib.suppress(ValueError, NotImplementedError):
                self._count_module(importlib.util.source_from_cache(path))
            return
        kind = kind_of(path)
        if kind == "installed":
            self._count_installed(path)
        elif kind == "own":
            self._count_own(path)
        elif kind == "other" and self._scope.may_count(path):
            if what == UPDATED and not self._accesses.unchanged(path):
                self._accesses.add_written(path)
            self._count_file(path)

    def _count_installed(self, path: str) -> None:
        if path.endswith(MODULES):
            self._count_module(path)
        elif self._scope.below_root(path) and distribution_of_file(path) is None:
            self._count_file(path)

    def _count_module(self, file: str) -> None:
        """Count a module by the place of its file."""
        kind = kind_of(file)
        if kind == "own":
            self._count_own(file)
        elif kind == "installed" and (package := distribution_of_file(file)):
            self._count_package(package)
        elif kind != "standard" and not self._scope.in_home(file):
            self._count_file(container_of(file))

    def _count_own(self, file: str) -> None:
        if own_package(file) == "mdnbench":
            inner = Path(os.path.realpath(file)).relative_to(CORE).as_posix()
            if inner.startswith(tuple(f"{room}/" for room in ROOMS)):
                self._add(file, "mdnbench", inner)
        elif self._scope.below_root(file) and not file.endswith(CACHES):
            self._count_file(file)

    def _count_file(self, path: str) -> None:
        inner = self._scope.below_root(path)
        self._add(path, "plugin" if inner else "file", inner or path)

    def _add(self, path: str, root: Root, name: str) -> None:
        """Add a file with the digest of its present content, unless it is known or this process has written it."""
        key = (root, os.path.normpath(name).replace(os.sep, "/"))
        real = os.path.realpath(path)
        if key in self._entries or self._accesses.is_written(real):
            return
        try:
            content, meaning = self._digests.of(path) if is_regular(path) else (ABSENT, ABSENT)
            if content != ABSENT and path.endswith(PYTHON):
                for module in self._digests.imports(path):
                    self._named.add(module.partition(".")[0])
        except OSError:  # it is not readable, or it has disappeared
            content = meaning = ABSENT
        if content != ABSENT or not os.path.lexists(path):
            self._entries[key] = UsedFile(root, key[1], content, meaning)
            self._places[key] = real

    def _drop_written(self) -> None:
        """Remove files that were read first and written later."""
        if not self._accesses.settle():
            return
        for key, real in list(self._places.items()):
            if self._accesses.is_written(real):
                del self._entries[key], self._places[key]

    def _count_hiding(self) -> None:
        """Count as absent the plugin's files that would be loaded in place of a loaded module if they existed."""
        for name, file in self._loaded.new_modules():
            kind = kind_of(file)
            if kind == "standard" or ("." in name and kind != "other"):
                continue  # few would hide Python's own modules; the parts of an installed package count as a whole
            for path in would_hide(name, file):
                if kind_of(path) == "other" and self._scope.below_root(path) and not os.path.lexists(path):
                    self._count_file(path)

    # ---- Distributions -----------------------------------------------------------------------------------------------

    def _count_package(self, name: str) -> None:
        key = ("package", normalised(name))
        if key not in self._entries and (entry := package_entry(name)):
            self._entries[key] = entry

    def _count_packages(self) -> None:
        """Count distributions that count even if they were loaded before `begin`."""
        for name in self._given:
            self._count_package(name)
        for name in ALWAYS:
            if file := file_of(sys.modules.get(name)):
                self._count_module(file)
        # Files that are counted here import further modules, which belong to the plugin as well.
        while self._named:
            self._count_named(self._named.pop())

    def _count_named(self, top: str) -> None:
        """Count a module that was loaded before `begin`, because a counted file imports it."""
        if top == "mdnbench" or not self._loaded.in_baseline(top):
            return
        file = file_of(sys.modules.get(top))
        if file and kind_of(file) == "standard":
            return
        if file and kind_of(file) == "installed" and (package := distribution_of_file(file)):
            self._count_package(package)
            return
        for inside in self._loaded.files_below(top):  # a namespace package, or files that no distribution lists
            self._count_module(inside)

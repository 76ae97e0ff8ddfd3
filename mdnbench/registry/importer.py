"""Import plugin sources from exactly the text that was hashed, also in processes that a plugin starts.

Modules next to a plugin file can be imported too.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import os
import pkgutil
import shutil
import sys
import time
from collections.abc import Sequence
from functools import cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from mdnbench.errors import BadPlugin
from mdnbench.registry import torchvision_fix
from mdnbench.registry.file_origin import kind_of
from mdnbench.registry.finders import found_behind
from mdnbench.registry.syntax_digest import syntax_digest
from mdnbench.util import atomic, ending, paths, temporary
from mdnbench.util.digests import of_parts

if TYPE_CHECKING:
    from mdnbench.registry.discovery import PluginSource

PREFIX = "mdnbench_file_"  # of the module names of plugin files
YOUNG_NS = 2_000_000_000  # a compiled file that was made within this time after its source changed may be outdated
OLD_S = 30 * 86_400.0
STUB = """# A plugin file under the name that it has in mdnbench, for processes that the plugin starts.
from mdnbench.registry import importer as importing

importing.become(__name__, {path!r}, {digest!r})
"""


def module_of(source: PluginSource) -> ModuleType:
    """Import a source and return its module; every error of the plugin is passed on.

    Raises:
        BadPlugin: Nothing can be imported, or the file has changed since it was found.

    """
    if source.fault:
        raise BadPlugin(source.fault)
    if not source.ours:
        prepare()
    if source.path is None:
        return _behind_entry_point(source.value)
    content = require_unchanged(source)
    name = name_of(source.path, source.digest)
    if name in sys.modules:
        return sys.modules[name]
    for folder in (str(source.path.parent), str(_stub(name, source.path, source.digest))):
        if folder not in sys.path:
            sys.path.append(folder)  # at the end, so that a file next to the plugin hides no installed package
    return _run(name, source.path, content)


def _behind_entry_point(value: str) -> ModuleType:
    """Import what an entry point names: `module` or `module:attribute`; extras in brackets after it mean nothing."""
    module, _, attribute = value.partition("[")[0].partition(":")
    found: ModuleType = pkgutil.resolve_name(f"{module.strip()}:{attribute.strip()}")
    return found


def name_of(path: Path, digest: str) -> str:
    """Return the module name of a plugin file; it differs for a copy in another place and for another text."""
    return f"{PREFIX}{of_parts(str(path), digest)[:12]}"


def become(name: str, path: str, digest: str) -> None:
    """Import a plugin file in a process that the plugin started, under the module name of the parent process.

    If the import fails, every attribute of the module is a function that raises the reason. An error here would make a
    process pool start new workers forever.

    Args:
        name: The module name.
        path: The plugin file.
        digest: The SHA-256 that the file must have.

    """
    prepare()
    try:
        content = Path(path).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise ImportError("the file has changed since it was imported in the parent process")
        _run(name, Path(path), content)
    except BaseException as error:
        sys.modules[name] = _Failed(name, f"{path} cannot be imported in a process of its pool: {error!r}")


class _Failed(ModuleType):
    """A replacement for a module that could not be imported; calling any of its attributes raises the reason."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name)
        self.__dict__["_reason"] = reason

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: object, **__: object) -> None:
            raise RuntimeError(self.__dict__["_reason"])

        return refuse


def require_unchanged(source: PluginSource) -> bytes:
    """Return the text of a plugin file.

    Raises:
        BadPlugin: The code of the file has changed since the source was found.

    """
    assert source.path is not None
    content = source.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != source.digest and not _same_code(source, content):
        raise BadPlugin(
            f"the plugin {source.path}, or a file that it is made of, has changed since the run was planned; put the "
            "former file back, or run again with the new one."
        )
    return content


def _same_code(source: PluginSource, content: bytes) -> bool:
    return syntax_digest(content) == source.code


class _AsRead(SourceFileLoader):
    """A loader that imports a text already read.

    Python's own loader would read the file again, or use the compiled file of an earlier text.
    """

    def __init__(self, name: str, path: str, content: bytes) -> None:
        super().__init__(name, path)
        self._content = content

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of that text."""
        return self.source_to_code(self._content, self.path)


def _run(name: str, path: Path, content: bytes) -> ModuleType:
    """Run a text as a module that is also a package, so that `from .helper import x` finds the file next to it."""
    loader = _AsRead(name, str(path), content)
    spec = importlib.util.spec_from_file_location(
        name, path, loader=loader, submodule_search_locations=[str(path.parent)]
    )
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        forget(name)
        raise
    return module


def forget(name: str) -> None:
    """Remove a plugin file's module, and the modules that it imported relative to itself, from `sys.modules`."""
    for each in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
        del sys.modules[each]


# ---- Modules next to a plugin: never from the compiled file of an earlier text --------------------------------------


class _Careful(SourceFileLoader):
    """A loader of source files that uses a compiled file only if it certainly belongs to the present text.

    Python compares the size and the modification time in whole seconds. An edit within one second may change neither.
    """

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code of the present text."""
        compiled = _compiled(self.path)
        if compiled is None:
            return super().get_code(fullname)
        with contextlib.suppress(OSError):
            compiled.unlink()  # Python writes a new one
            return super().get_code(fullname)
        return self.source_to_code(self.get_data(self.path), self.path)


def _compiled(path: str) -> Path | None:
    """Return the compiled file of a source if it may belong to an earlier text."""
    try:
        compiled = Path(importlib.util.cache_from_source(path))
        made = compiled.stat().st_mtime_ns
        source = Path(path).stat()
    except (OSError, NotImplementedError):
        return None
    return compiled if made <= max(source.st_mtime_ns, source.st_ctime_ns) + YOUNG_NS else None


class _PluginFinder:
    """A finder that delegates to the next finders and loads the modules of plugins with `_Careful`."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Return the result of the finders behind this one."""
        spec = found_behind(self, name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or not spec.origin:
            return spec
        if kind_of(spec.origin) == "other":
            spec.loader = _Careful(spec.loader.name, spec.loader.path)
        return spec


def prepare() -> None:
    """Make this process import plugin modules from their present text, and torchvision without operator errors."""
    torchvision_fix.install_fix()

    if not any(isinstance(each, _PluginFinder) for each in sys.meta_path):
        sys.meta_path.insert(0, _PluginFinder())
    importlib.invalidate_caches()


# ---- Processes that a plugin starts ----------------------------------------------------------------------------------


def _stub(name: str, path: Path, digest: str) -> Path:
    """Return a folder with a module of this name that loads the plugin file; spawned processes inherit `sys.path`.

    The folder is in the home folder of mdnbench. A temporary folder would be left behind if the process is killed.
    """
    try:
        return _written(_stubs(), name, path, digest)
    except OSError:
        return _written(_temporary_stubs(), name, path, digest)


def _stubs() -> Path:
    return paths.home().absolute() / "modules"


@cache
def _temporary_stubs() -> Path:
    me = os.getpid()
    ending.register(lambda: remove_temporary() if os.getpid() == me else None)
    return temporary.make_folder("mdnbench-modules")


def remove_temporary() -> None:
    """Remove the temporary folder that replaces a home folder without write access; call it before `os._exit`."""
    if _temporary_stubs.cache_info().currsize:
        shutil.rmtree(_temporary_stubs(), ignore_errors=True)


def _written(folder: Path, name: str, path: Path, digest: str) -> Path:
    place = folder / f"{name}.py"
    text = STUB.format(path=str(path), digest=digest)
    if not place.is_file() or place.read_text(encoding="utf-8", errors="replace") != text:
        with atomic.replacing(place) as part:
            part.write_text(text, encoding="utf-8", errors="surrogateescape")
        _tidy(folder)
    elif time.time() - place.stat().st_mtime > OLD_S / 2:
        os.utime(place)  # still needed: renew its age
    return folder


def _tidy(folder: Path) -> None:
    """Remove the files that no plugin has needed for a month."""
    for each in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - each.stat().st_mtime > OLD_S:
                each.unlink()

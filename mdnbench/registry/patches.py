"""Detect the functions and methods that a plugin has replaced in the libraries that scores depend on.

A library's functions are recorded when its import is complete, and compared later. The libraries themselves go on
changing after that: they import parts of themselves on first use, and torch wraps some of its functions when something
is compiled. So a new object is accepted as the library's own if it did not exist before and consists of the library's
own code only.
"""

from __future__ import annotations

import builtins
import functools
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from mdnbench.registry.finders import found_behind

# What the coordinator, the bench and our metrics use: they read images, keep the store and write reports with it.
STANDARD = frozenset({
    "array", "ast", "atexit", "base64", "binascii", "builtins", "codecs", "collections", "concurrent", "contextlib",
    "copy", "csv", "dataclasses", "datetime", "decimal", "difflib", "enum", "errno", "fcntl", "fractions", "functools",
    "gc", "glob", "hashlib", "heapq", "html", "importlib", "inspect", "io", "itertools", "json", "keyword", "locale",
    "lzma", "marshal", "math", "mmap", "multiprocessing", "ntpath", "operator", "os", "pathlib", "pickle", "platform",
    "posix", "posixpath", "queue", "random", "re", "resource", "secrets", "select", "selectors", "shutil", "signal",
    "site", "socket", "sqlite3", "stat", "statistics", "string", "struct", "subprocess", "sys", "sysconfig", "tempfile",
    "textwrap", "threading", "time", "tomllib", "traceback", "types", "unicodedata", "urllib", "uuid", "warnings",
    "weakref", "xml", "zipfile", "zlib",
})  # fmt: skip
INSTALLED = frozenset({
    "bm3d", "cv2", "distributed", "filelock", "imagecodecs", "imageio", "jinja2", "lpips", "markupsafe",
    "matplotlib", "mdnbench", "numpy", "pandas", "PIL", "piq", "platformdirs", "pluggy", "psutil", "pyarrow", "pywt",
    "requests", "rich", "safetensors", "scipy", "skimage", "threadpoolctl", "tifffile", "tomli_w", "torch",
    "torchvision", "typer", "urllib3", "vl_convert",
})  # fmt: skip
LIBRARIES = STANDARD | INSTALLED
ALL_CONSTANTS_IN = STANDARD | {"numpy", "mdnbench"}  # public constants are compared; elsewhere those in capitals
CONSTANTS = (bool, int, float, complex, str, bytes, tuple, frozenset)
CONTAINERS = (dict, list, set)
WRAPPING = ("functools.py", "contextlib.py", "enum.py", "dataclasses.py", "typing.py", "abc.py")  # they wrap functions
COUNTING = ("torch", "torchvision")  # whose names in capitals are counters as well
# By torch.set_default_dtype, by the import of torch, by time.tzset, and by logging.captureWarnings, which is put back.
REBOUND = (
    "torch.Storage", "inspect.getfile", "time.timezone", "time.altzone", "time.daylight", "time.tzname",
    "warnings.showwarning", "sys.dont_write_bytecode", "tempfile.tempdir",
)  # fmt: skip
UNCALLED = ("__annotate__", "__annotate_func__")
DEPTH = 6  # how many levels of functions inside functions are examined
SHOWN = 3

_GONE = object()
_FOREIGN = object()


class PatchWatch:
    """The functions of some libraries as they were after their import, in this process."""

    def __init__(self, libraries: frozenset[str] = LIBRARIES) -> None:
        self._libraries = libraries
        self._modules: dict[str, tuple[ModuleType, dict[str, Any]]] = {}
        self._containers: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._classes: dict[type, dict[str, Any]] = {}
        self._functions: dict[FunctionType, tuple[str, tuple[Any, ...]]] = {}
        self._known: set[int] = set()  # ids of all objects above; these references keep the objects alive
        self._folders: tuple[str, ...] = ()

    def begin(self) -> None:
        """Record the loaded libraries, and from now on each further module of a library when its import is complete."""
        self.note()
        sys.meta_path.insert(0, _LibraryFinder(self._libraries, self.note))

    def note(self, complete: str = "") -> None:
        """Record the modules loaded since the last call.

        Args:
            complete: The module whose import is just being completed, if there is one.

        """
        for name, module in list(sys.modules.items()):
            new = name not in self._modules and self._is_of_library(name)
            if new and (name == complete or not _is_unfinished(module)):
                self._note_module(name, module)

    def _is_of_library(self, name: object) -> bool:
        return isinstance(name, str) and name.partition(".")[0] in self._libraries

    def _note_module(self, name: str, module: Any) -> None:
        if not isinstance(module, ModuleType):
            return
        values: dict[str, Any] = {}
        for key, value in list(vars(module).items()):
            if callable(value) or isinstance(value, ModuleType):
                values[key] = value
                self._note_callable(f"{name}.{key}", value)
            elif key in _BUILT_IN or (isinstance(value, CONSTANTS) and _is_compared(name, key)):
                values[key] = value
            elif key.isupper() and name.startswith("mdnbench") and isinstance(value, CONTAINERS):
                self._containers[name, key] = _content(value)
        self._modules[name] = (module, values)
        self._known.update(map(id, values.values()))

    def _note_callable(self, name: str, value: Any) -> None:
        if isinstance(value, type):
            if value not in self._classes and self._is_of_library(getattr(value, "__module__", None)):
                self._classes[value] = attributes = dict(vars(value))
                self._known.update(map(id, attributes.values()))
                for key, attribute in attributes.items():
                    self._note_functions(f"{_full_name(value)}.{key}", attribute)
            return
        self._note_functions(name, value)

    def _note_functions(self, name: str, value: Any) -> None:
        for function in _functions_of(value):
            if function not in self._functions:
                self._functions[function] = (name, _state(function))
                self._known.add(id(function))

    # ---- Comparing ---------------------------------------------------------------------------------------------------

    def found(self) -> tuple[str, ...]:
        """Return the full names of the objects that were replaced or changed since the import, sorted."""
        self._folders = tuple(_library_folders(self._libraries))
        return tuple(sorted({*self._in_modules(), *self._in_containers(), *self._in_classes(), *self._in_functions()}))

    def _in_modules(self) -> Iterator[str]:
        for name, (module, values) in self._modules.items():
            current = sys.modules.get(name)
            if current is not module and (current is not None or "." not in name):
                yield name
            now = vars(module)
            for key, old in values.items():
                new = now.get(key, _GONE)
                if new is not old and new is not _GONE and f"{name}.{key}" not in REBOUND and self._is_patch(old, new):
                    yield f"{name}.{key}"
            if name != "builtins":  # a new function of this name in a module hides the built-in one
                hiding = (key for key in now if key not in values and key in _BUILT_IN)
                yield from (f"{name}.{key}" for key in hiding if self._is_patch(None, now[key]))

    def _is_patch(self, old: Any, new: Any) -> bool:
        if isinstance(old, CONSTANTS) and not callable(old):
            return type(old) is not type(new) or bool(old != new)
        if isinstance(new, ModuleType):
            loaded = sys.modules.get(new.__name__)
            return id(new) in self._known or not self._is_of_library(new.__name__) or loaded is not new
        return id(new) in self._known or not self._is_own_work(new, old)

    def _in_containers(self) -> Iterator[str]:
        for (name, key), content in self._containers.items():
            value = vars(self._modules[name][0]).get(key)
            if not isinstance(value, CONTAINERS) or not _is_same(_content(value), content):
                yield f"{name}.{key}"

    def _in_classes(self) -> Iterator[str]:
        for cls, old in self._classes.items():
            for key, new in list(vars(cls).items()):
                if old.get(key) is new or key in UNCALLED or not (callable(new) or hasattr(new, "__get__")):
                    continue
                before = old.get(key, _GONE)
                if before is _GONE and not any(key in vars(base) for base in cls.__mro__[1:]):
                    continue  # a new attribute that hides nothing
                if before is not _GONE and not (callable(before) or hasattr(before, "__get__")):
                    continue
                if self._is_patch(self._inherited(cls, key) if before is _GONE else before, new):
                    yield f"{_full_name(cls)}.{key}"

    def _inherited(self, cls: type, key: str) -> Any:
        """Return the attribute that a class inherited under this name when it was recorded."""
        for base in cls.__mro__[1:]:
            attributes = self._classes.get(base, vars(base))
            if key in attributes:
                return attributes[key]
        return None

    def _in_functions(self) -> Iterator[str]:
        for function, (name, state) in self._functions.items():
            if not _is_same(_state(function), state):
                yield name

    # ---- Objects that a library made itself --------------------------------------------------------------------------

    def _is_own_work(self, new: Any, old: Any) -> bool:
        """Return whether a library made an object itself: only from its own code, around the object that it replaces.

        Objects that C code made do not show what they call, and callable instances do not show what they do. Both are
        foreign.
        """
        known: list[Any] = []
        waiting, depth = [new], 0
        while waiting and depth < DEPTH:
            waiting, depth = [part for each in waiting for part in self._parts(each, known)], depth + 1
        return not waiting and _FOREIGN not in known and (not known or any(part is old for part in known))

    def _parts(self, value: Any, known: list[Any]) -> tuple[Any, ...]:
        """Return the parts of a new object that may be called.

        Known functions are added to `known`. A marker is added for foreign code.
        """
        if id(value) in self._known:
            known.append(value)
            return ()
        parts = _parts_of(value)
        if isinstance(value, functools.partial) and self._is_private(value.func):
            parts = parts[1:] if parts else None
        elif isinstance(value, functools.partial) or (isinstance(value, FunctionType) and not self._is_own_code(value)):
            parts = None
        if parts is None:
            known.append(_FOREIGN)
            return ()
        return tuple(part for part in parts if _is_code(part))

    def _is_private(self, function: Any) -> bool:
        """Return whether a function is private to a library; other code rarely makes a partial of such a function."""
        return isinstance(function, FunctionType) and function.__name__[:1] == "_" and self._is_own_code(function)

    def _is_own_code(self, function: FunctionType) -> bool:
        code: CodeType = function.__code__
        if not code.co_filename.startswith("<"):
            return code.co_filename.startswith(self._folders)
        module = function.__globals__.get("__name__")  # the code was generated from a text, as for a dataclass
        return self._is_of_library(module) or module in sys.stdlib_module_names


_BUILT_IN = frozenset(name for name in vars(builtins) if not name.startswith("_"))


def words(patches: Sequence[str]) -> str:
    """Return the names of the changed objects as a phrase; after the first three it gives the number of the others."""
    shown = list(patches[:SHOWN])
    if len(patches) > SHOWN:
        shown.append(f"{len(patches) - SHOWN} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _is_compared(module: str, key: str) -> bool:
    """Whether a constant of this name in a module is a setting that a plugin should not change."""
    top = module.partition(".")[0]
    if key.startswith("_") or top in COUNTING:
        return False
    return key.isupper() or top in ALL_CONSTANTS_IN or top.startswith("mdnbench")


def _is_unfinished(module: Any) -> bool:
    spec = getattr(module, "__spec__", None) if isinstance(module, ModuleType) else None
    return bool(getattr(spec, "_initializing", False))


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _content(value: Any) -> tuple[Any, ...]:
    if isinstance(value, dict):
        return (*value.keys(), *value.values())
    return tuple(sorted(value, key=repr)) if isinstance(value, set) else tuple(value)


def _is_same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Return whether two tuples hold the same objects; equal texts and numbers may be different objects."""
    if len(one) != len(other):
        return False
    for left, right in zip(one, other, strict=True):
        plain = isinstance(left, CONSTANTS) and not isinstance(left, tuple)
        if left is not right and not (plain and type(left) is type(right) and left == right):
            return False
    return True


def _state(function: FunctionType) -> tuple[Any, ...]:
    """Return the objects that define what a function does; a change in place replaces one of them."""
    options = function.__kwdefaults__ or {}
    return (function.__code__, function.__defaults__, *options.keys(), *options.values())


def _functions_of(value: Any) -> Iterator[FunctionType]:
    """Yield the Python functions that a callable is made of, without using attributes that an object may compute."""
    if isinstance(value, FunctionType):
        yield value
        value = value.__dict__.get("__wrapped__")
        if isinstance(value, FunctionType):
            yield value
    elif type(value).__name__ == "_ArrayFunctionDispatcher":  # most of NumPy
        yield from _functions_of(value._implementation)
    elif isinstance(value, property | staticmethod | classmethod | functools._lru_cache_wrapper | MethodType):
        for part in _parts_of(value) or ():
            yield from _functions_of(part)


def _parts_of(value: Any) -> tuple[Any, ...] | None:
    """Return what an object calls, or None if that is unknown.

    That is what a function closes over, the function of a partial, or the functions of a property.
    """
    known: tuple[tuple[Any, Callable[[Any], tuple[Any, ...]]], ...] = (
        (FunctionType, _closed_over),
        (property, lambda each: (each.fget, each.fset, each.fdel)),
        (staticmethod | classmethod, lambda each: (each.__func__,)),
        (functools.partial, lambda each: (each.func, *each.args, *each.keywords.values())),
        (functools._lru_cache_wrapper, lambda each: (each.__wrapped__,)),
        (MethodType, lambda each: (each.__func__,)),
    )
    for kind, parts in known:
        if isinstance(value, kind):
            return parts(value)
    return None


def _is_code(part: Any) -> bool:
    """Return whether a part of an object is something that it may call; other values are its data."""
    return isinstance(part, FunctionType | functools.partial | functools._lru_cache_wrapper | MethodType | property)


def _closed_over(function: FunctionType) -> tuple[Any, ...]:
    parts = []
    for cell in function.__closure__ or ():
        try:
            parts.append(cell.cell_contents)
        except ValueError:  # empty
            continue
    return tuple(parts)


def _library_folders(libraries: frozenset[str]) -> Iterator[str]:
    """Yield the folders of the loaded libraries, each with a separator at its end.

    Also yield those files of the standard library that wrap functions.
    """
    for name in libraries:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            yield f"{Path(file).parent}{os.sep}" if Path(file).name.startswith("__init__.") else file
    standard = Path(sysconfig.get_path("stdlib"))
    yield from (str(standard / name) for name in WRAPPING)


class _LibraryFinder:
    """A finder that delegates to the next finders, and calls back when the import of a library's module is complete."""

    def __init__(self, libraries: frozenset[str], complete: Callable[[str], None]) -> None:
        self._libraries = libraries
        self._complete = complete
        self._depth = 0

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Return the result of the finders behind this one, for the libraries only."""
        if name.partition(".")[0] not in self._libraries:
            return None
        spec = found_behind(self, name, path, target)
        loader: Any = spec.loader if spec else None
        if hasattr(loader, "exec_module") and hasattr(loader, "__dict__") and not isinstance(loader, type):
            loader.exec_module = functools.partial(self._execute, loader.exec_module)
        return spec

    def _execute(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        """Run a module's code; parts that a library imports itself are reported with the outermost module."""
        self._depth += 1
        try:
            execute(module)
        finally:
            self._depth -= 1
        if self._depth == 0:
            self._complete(module.__name__)

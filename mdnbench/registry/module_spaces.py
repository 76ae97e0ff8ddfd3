"""Spaces: several plugins in one process, each with its own modules and its own part of `sys.path`.

Two research repositories may both have `models/network.py`, so each is imported in a space of its own. A space holds
the modules that are not in the standard library, not installed and not part of mdnbench. They are removed from
`sys.modules` when the space is left, and put back when it is entered again. The functions of a plugin's spec run inside
its space, so imports inside these functions find the right module too.

All threads share one `sys.modules`. Any number of threads may be in one space at once. A thread that needs another
space waits until they have left it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from types import FunctionType, GeneratorType, ModuleType
from typing import Any, TypeVar

from mdnbench.errors import MdnbenchError
from mdnbench.registry import importer
from mdnbench.registry.file_origin import kind_of
from mdnbench.spec.specs import DatasetSpec, DenoiserSpec, MetricSetting, MetricSpec, NoiseSpec, ReporterSpec, Trainable
from mdnbench.util import ending
from mdnbench.util.limits import PLUGIN_CALL_S, PLUGIN_LONG_CALL_S, SPACE_WAIT_S
from mdnbench.util.time_limit import time_limit

_T = TypeVar("_T")
_Function = Callable[..., Any]
_Limit = Callable[[], contextlib.AbstractContextManager[None]]


class Space:
    """The modules that only one plugin uses, and its part of `sys.path`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.modules: dict[str, ModuleType] = {}  # while the space is not entered
        self._path: list[str] = []  # the whole of `sys.path` as the plugin left it
        self._base: list[str] = []  # `sys.path` before the plugin ran

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Run the `with` block in this space; do nothing if the space is already active.

        Raises:
            MdnbenchError: Another space stays in use for 60 seconds.

        """
        frame = _switch.enter(self)
        try:
            with ending.ending_copies():
                yield
        finally:
            _switch.leave(frame)

    def imported(self) -> dict[str, ModuleType]:
        """Return the modules of this space; call it inside the space."""
        return {name: module for name, module in list(sys.modules.items()) if is_foreign(name, module)}

    def path(self, base: list[str]) -> list[str]:
        """Return `sys.path` for this space: the path as the plugin left it, plus changes made outside since then."""
        kept = [entry for entry in self._path if entry in base or entry not in self._base]
        return kept + [entry for entry in base if entry not in kept]

    def keep_path(self, base: list[str], now: list[str]) -> None:
        """Store `sys.path` as the plugin left it.

        Args:
            base: `sys.path` before the plugin ran.
            now: `sys.path` after the plugin ran.

        """
        self._base, self._path = list(base), list(now)

    def wrap(self, spec: _T) -> _T:
        """Return the spec with its functions, and the functions that these return, made to run in this space."""
        return self._wrapped(spec, f"{getattr(spec, 'name', '')!r} in {self.name}")

    def _wrapped(self, spec: _T, owner: str) -> _T:
        changes: dict[str, Any] = {}
        for record, calls, makers in _CALLS:
            if isinstance(spec, record):
                for name in (*calls, *makers):
                    doing = f"the function `{name}` of {owner}"
                    seconds = PLUGIN_LONG_CALL_S if name in _LONG_CALLS else PLUGIN_CALL_S
                    limit = functools.partial(time_limit, doing, seconds)
                    changes[name] = self._bound(getattr(spec, name), limit, makes=name in makers)
        if isinstance(spec, DenoiserSpec) and spec.trainable is not None:
            changes["trainable"] = self._wrapped(spec.trainable, owner)
        if isinstance(spec, MetricSpec):
            changes["settings"] = tuple(map(self.wrap, spec.settings))
        return dataclasses.replace(spec, **changes)  # type: ignore[type-var]

    def _bound(self, call: _Function | None, limit: _Limit, *, makes: bool = False) -> _Function | None:
        if call is None:
            return None

        @functools.wraps(call, updated=("__dict__",) if isinstance(call, FunctionType) else ())
        def inside(*arguments: Any, **options: Any) -> Any:
            with limit(), self.inside():
                result = call(*arguments, **options)
            if isinstance(result, GeneratorType):
                return self._stepped(result, limit)
            return self._bound(result, limit) if makes and callable(result) else result

        return inside

    def _stepped(self, steps: Generator[Any, Any, Any], limit: _Limit) -> Iterator[Any]:
        """Yield the items of a generator and run each of its steps in this space."""
        try:
            while True:
                with limit(), self.inside():
                    try:
                        item = next(steps)
                    except StopIteration:
                        return
                yield item
        finally:
            with limit(), self.inside():
                steps.close()


# For each record: the fields that are called, and the fields that return something to call.
_CALLS: tuple[tuple[type, tuple[str, ...], tuple[str, ...]], ...] = (
    (DenoiserSpec, ("prepare",), ("build",)),
    (NoiseSpec, ("apply", "std"), ()),
    (DatasetSpec, ("load",), ()),
    (MetricSpec, ("prepare",), ("build",)),
    (MetricSetting, ("prepare",), ("build",)),
    (ReporterSpec, ("write",), ()),
    (Trainable, ("network", "loss", "export", "convert", "inference"), ()),
)
# A report may be large; in a training by several processes, `loss` may wait for the validation in another one.
_LONG_CALLS = ("write", "loss")


@dataclass
class _Frame:
    """A space that was entered: the threads inside, and the modules and the path that it replaced."""

    space: Space
    modules: dict[str, ModuleType]
    path: list[str]
    entries: list[str]
    opener: int  # 0 if it was not opened inside another space
    inside: list[int] = field(default_factory=list)  # threads, once for each time they entered


class _Switch:
    """The active spaces of the process; only the modules of the innermost one are in `sys.modules`."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._frames: list[_Frame] = []

    def enter(self, space: Space) -> _Frame:
        me = threading.get_ident()
        with self._free:
            if not self._free.wait_for(lambda: self._may_enter(space, me), SPACE_WAIT_S):
                raise MdnbenchError(
                    f"{space.name} waited {SPACE_WAIT_S:g} s for {self._frames[-1].space.name} to return from a "
                    "call in another thread; call functions of different plugins one after the other."
                )
            if not self._frames or self._frames[-1].space is not space:
                self._frames.append(_open(space, me if self._frames else 0))
            frame = self._frames[-1]
            frame.inside.append(me)
            return frame

    def leave(self, frame: _Frame) -> None:
        me = threading.get_ident()
        with self._free:
            if frame.opener == me and frame.inside.count(me) == 1:  # this thread continues in the outer space
                self._free.wait_for(lambda: set(frame.inside) == {me}, SPACE_WAIT_S)
            frame.inside.remove(me)
            if not frame.inside:
                self._frames.remove(frame)
                _close(frame)
            self._free.notify_all()

    def _may_enter(self, space: Space, me: int) -> bool:
        if not self._frames or self._frames[-1].space is space:
            return True
        return set(self._frames[-1].inside) == {me}  # the code of one plugin calls another plugin


_switch = _Switch()


def _open(space: Space, opener: int) -> _Frame:
    frame = _Frame(space, _take_out(), sys.path, list(sys.path), opener)
    sys.modules.update(space.modules)
    space.modules = {}
    sys.path[:] = space.path(frame.entries)
    return frame


def _close(frame: _Frame) -> None:
    frame.space.modules = _take_out()
    frame.space.keep_path(frame.entries, sys.path)
    sys.path = frame.path  # a plugin may have put another list there
    sys.path[:] = frame.entries
    sys.modules.update(frame.modules)


def _take_out() -> dict[str, ModuleType]:
    """Remove from `sys.modules`, and return, the modules of the current space or of the program outside all spaces."""
    found = {name: module for name, module in list(sys.modules.items()) if is_foreign(name, module)}
    for name in found:
        del sys.modules[name]
    return found


# ---- Which modules belong to a space ---------------------------------------------------------------------------------

_kinds: dict[str, tuple[int, bool]] = {}  # by name: the id of the examined module, and whether it is foreign


def is_foreign(name: str, module: Any) -> bool:
    """Return whether a module is a plugin's own and has to be kept in its space.

    These are the modules that are not in the standard library, not installed, not part of mdnbench, and not a plugin
    file, whose module name is unique already.
    """
    known = _kinds.get(name)
    if known is None or known[0] != id(module):
        known = _kinds[name] = (id(module), _is_foreign(name, module))
    return known[1]


def _is_foreign(name: str, module: Any) -> bool:
    top = name.partition(".")[0]
    if top in ("__main__", "__mp_main__") or top in sys.stdlib_module_names or top.startswith(importer.PREFIX):
        return False
    places = places_of(module)
    if places:
        return any(kind_of(place) == "other" for place in places)
    return _is_made_by_hand(name, module)


def places_of(module: Any) -> tuple[str, ...]:
    """Return the file of a module, or the folders of a namespace package; nothing if it has neither."""
    try:
        if isinstance(module.__file__, str):
            return (module.__file__,)
    except Exception:  # it has no file, or it is an object that computes its attributes
        pass
    try:
        return tuple(str(place) for place in module.__path__)
    except Exception:
        return ()


def _is_made_by_hand(name: str, module: Any) -> bool:
    """Return whether a plugin created a module itself, for example `sys.modules["config"] = ModuleType("config")`."""
    named = "." not in name and not name.startswith(("_", "cython"))  # Cython's runtime is shared
    return named and type(module) is ModuleType and getattr(module, "__spec__", None) is None

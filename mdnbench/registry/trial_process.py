"""The child process of a trial: import one plugin source and report the result.

The answer is written to the original standard output, which the plugin cannot reach. It begins with a token that only
the parent knows, so nothing that the plugin writes is mistaken for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import pickle
import random
import signal
import sqlite3
import statistics
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mdnbench import registry
from mdnbench.registry import discovery, import_effects, import_record, importer, lingering, patches
from mdnbench.registry.code import Digests
from mdnbench.registry.discovery import PluginSource
from mdnbench.spec.names import Option
from mdnbench.spec.specs import DenoiserSpec
from mdnbench.util.limits import TRIAL_END_S

PR_SET_PDEATHSIG = 1
DATA = (
    "name", "revision", "summary", "wants", "channels", "packages", "licence", "citation", "published_as",
    "stabilise",
)  # fmt: skip
WROTE = "it writes to file descriptor 1 while it is imported; that is for the output of mdnbench: print() is allowed."


def main(request: str) -> None:
    """Try a source, write the answer, and exit at once, whatever the plugin has started.

    Args:
        request: JSON with the source (`source`), the time limit in seconds (`limit`) and the token of the answer
            (`token`).

    """
    given = json.loads(request)
    _end_with_parent(given["limit"])
    answer, trap = os.dup(1), _trap()
    me = os.getpid()
    write, leave = json.dumps, os._exit  # bound before the plugin can replace them
    found = _try(_source(given["source"]), trap)
    if os.getpid() == me:  # a plugin that forks may reach this line twice
        content = (given["token"] + write(found)).encode("ascii")
        os.ftruncate(answer, 0)
        os.lseek(answer, 0, os.SEEK_SET)
        while content:
            content = content[os.write(answer, content) :]
        importer.remove_temporary()
        lingering.end_children()
    leave(0)


def _source(given: Mapping[str, Any]) -> PluginSource:
    places = {name: Path(given[name]) if given[name] else None for name in ("path", "folder")}
    return PluginSource(**{**given, **places})


def _end_with_parent(limit: float) -> None:
    """Make this process end when the parent ends, even if the parent is killed while the import hangs."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    elif hasattr(signal, "alarm"):
        signal.alarm(int(limit) + TRIAL_END_S)


def _trap() -> int:
    """Redirect file descriptor 1 into a pipe that never blocks; return the end from which to read what was written."""
    read, write = os.pipe()
    for each in (read, write):
        with contextlib.suppress(OSError, AttributeError):
            os.set_blocking(each, False)
    os.dup2(write, 1)
    os.close(write)
    return read


def _is_written(trap: int) -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.__stdout__.flush()  # type: ignore[union-attr]
    if sys.platform == "linux":
        ctypes.CDLL(None).fflush(None)
    try:
        return bool(os.read(trap, 1))
    except OSError:  # nothing was written, or the plugin has closed the pipe
        return False


def _try(source: PluginSource, trap: int) -> dict[str, Any]:
    assert all((pickle, random, sqlite3, statistics, zlib))  # loaded before the plugin, so that changes are detected
    ours = {each.value.partition(":")[0].partition(".")[0] for each in discovery.installed() if each.ours}
    going = lingering.Lingering(source.root)
    going.begin()
    watch = patches.PatchWatch(patches.LIBRARIES | ours)
    watch.begin()
    before = import_effects.lasting()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            brought = registry.import_source(source)
    except BaseException as error:
        return {"error": registry.one_line(error)}
    lasting = going.found()  # first: a thread may still write something
    if _is_written(trap):
        return {"error": WROTE}
    now = import_effects.lasting()
    changed = [*watch.found(), *lasting, *(what for what, value in before.items() if now.get(what) != value)]
    files = [
        *import_record.files(import_record.of_process(), source.root, digests := Digests()),
        *import_record.packages(),
    ]
    digests.save()
    return {
        "patches": changed,
        "specs": list(_as_data(brought)) if changed else [],
        "files": list(map(dataclasses.asdict, files)),
    }


def _as_data(brought: Mapping[str, list[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the specs as data: all fields of a method except its functions, and the names of all other specs."""
    for hook, specs in brought.items():
        for spec in specs:
            fields: dict[str, Any] = {"name": spec.name}
            if isinstance(spec, DenoiserSpec):
                fields = {name: getattr(spec, name) for name in DATA}
                fields |= {"files": list(map(str, spec.files))}
                fields |= {"options": list(map(_option, spec.options)), "trainable": spec.trainable is not None}
            yield hook, fields


def _option(option: Option) -> dict[str, Any]:
    return {**dataclasses.asdict(option), "type": option.type.__name__}

"""Try the first import of a plugin source that is not part of mdnbench in a separate process.

A plugin may end its process, crash it, hang, or replace functions that scores depend on while it is imported. The trial
detects that. A source that passes is trusted until one of the files that it loaded changes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from mdnbench.errors import BadPlugin
from mdnbench.registry import trial_cache, validation
from mdnbench.registry.code import Digests
from mdnbench.registry.trial_cache import TrialResult
from mdnbench.spec.names import Option
from mdnbench.spec.specs import DenoiserSpec
from mdnbench.util import jsonfile
from mdnbench.util.limits import TRIAL_S

if TYPE_CHECKING:
    from mdnbench.registry.discovery import PluginSource
    from mdnbench.spec.specs import Denoise

LIMIT_VARIABLE = "MDNBENCH_TRIAL_SECONDS"  # sets another limit, for plugins that take long to import
INSIDE_VARIABLE = "MDNBENCH_TRIAL"  # set in a trial, in which plugins are loaded without a further trial
POLL_S = 0.005
PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from mdnbench.registry import trial_process; "
    "trial_process.main(sys.argv[2])"
)
TYPES = {each.__name__: each for each in (bool, int, float, str)}


def is_inside() -> bool:
    """Return whether this process is a trial or was started by one."""
    return INSIDE_VARIABLE in os.environ


def results(sources: Iterable[PluginSource]) -> dict[PluginSource, TrialResult]:
    """Return the results for these sources: stored ones, and new trials for unknown or changed sources.

    Trials run in parallel, one per CPU core.
    """
    digests, found, unknown = Digests(), {}, []
    for source in sources:
        known = trial_cache.recall(source, digests)
        if known is None:
            unknown.append(source)
        else:
            found[source] = known
    return found | _try_all(unknown)


def _try_all(sources: list[PluginSource]) -> dict[PluginSource, TrialResult]:
    limit = limit_s()
    waiting, running, found = list(sources), list[_TrialProcess](), {}
    try:
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                running.append(_TrialProcess(waiting.pop(0), limit))
            time.sleep(POLL_S)
            for trial in [trial for trial in running if trial.is_over()]:
                running.remove(trial)
                found[trial.source] = result = trial.result()
                if not result.error:
                    trial_cache.save(trial.source, result)
    finally:
        for trial in running:  # Ctrl-C
            trial.end()
    return found


def limit_s() -> float:
    """Return the time limit of an import in seconds: 60, or the value of MDNBENCH_TRIAL_SECONDS."""
    with contextlib.suppress(ValueError):
        return max(float(os.environ.get(LIMIT_VARIABLE, TRIAL_S)), 0.1)
    return TRIAL_S


@dataclass
class _TrialProcess:
    """One process that imports one source."""

    source: PluginSource
    limit: float
    _token: str = field(default_factory=lambda: secrets.token_hex(16), init=False)
    _answer: IO[bytes] = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)
    _start: float = field(init=False)
    _late: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        places = {name: getattr(self.source, name) for name in ("path", "folder")}
        given = dataclasses.asdict(self.source) | {
            name: str(place) if place else None for name, place in places.items()
        }
        request = json.dumps({"source": given, "token": self._token, "limit": self.limit})
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the result); it has no name to leave behind
        self._start = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, json.dumps(sys.path), request], stdin=subprocess.DEVNULL,
            stdout=self._answer, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, INSIDE_VARIABLE: "1"},
        )  # fmt: skip

    def is_over(self) -> bool:
        """Return whether the process has ended; end it if it takes too long."""
        if self._process.poll() is None and time.monotonic() - self._start > self.limit:
            self._late = True
            self.end()
        return self._process.returncode is not None

    def end(self) -> None:
        """End the process and everything that it started."""
        _end_group(self._process.pid)
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()

    def result(self) -> TrialResult:
        """Return the result of the trial; call it when the trial is over."""
        _end_group(self._process.pid)
        with self._answer as file:
            file.seek(0)
            answer = file.read().decode("ascii", "replace")
        if self._late:
            return TrialResult(f"it did not finish its import within {self.limit:g} s.")
        if self._process.returncode == 0 and answer.startswith(self._token):
            try:
                return jsonfile.parse(answer.removeprefix(self._token), TrialResult)
            except ValueError:
                return TrialResult("what it brings cannot be read: it changes functions of Python when it is imported.")
        return TrialResult(_ended(self._process.returncode))


def _end_group(group: int) -> None:
    """End the process group of a trial; each trial is started in a group of its own."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


def _ended(code: int) -> str:
    if code >= 0:
        return f"the plugin ended its process with exit code {code} while it was imported."
    with contextlib.suppress(ValueError):
        return f"the plugin's process was killed by {signal.Signals(-code).name} while it was imported."
    return f"the plugin's process was killed by signal {-code} while it was imported."


# ---- Sources that replace functions have their specs as data ---------------------------------------------------------


def method(fields: Mapping[str, Any], reason: str) -> DenoiserSpec:
    """Return a method's spec made from data.

    Args:
        fields: The fields of the spec, without its functions.
        reason: The message of the BadPlugin that the spec's `build` raises.

    Raises:
        BadPlugin: A field is not valid.

    """

    def build(options: Any, device: str, weights: Any) -> Denoise:
        raise BadPlugin(reason)

    given = {name: value for name, value in fields.items() if name not in ("options", "trainable")}
    for name in ("channels", "packages", "files"):
        given[name] = tuple(given[name])
    spec = DenoiserSpec(**given, options=tuple(map(_option, fields["options"])), build=build)
    validation.check(DenoiserSpec, spec)
    return spec


def _option(fields: Mapping[str, Any]) -> Option:
    return Option(**{**fields, "type": TYPES[fields["type"]], "choices": tuple(fields["choices"])})

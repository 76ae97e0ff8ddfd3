"""Fuzzing: how many cases there are, the command line in this process, and what must be true whatever it is given."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings

from mdnbench.errors import MdnbenchError
from mdnbench.results import Results

TIMES_IN_FULL = 8
CODES = {0, 1, 2, 3, 4, 5}

Fuzz = Callable[..., None]


@pytest.fixture(params=["quick", pytest.param("full", marks=pytest.mark.full)])
def fuzz(request: pytest.FixtureRequest) -> Fuzz:
    """`fuzz(check, 40, text=st.text())` tries so many cases, the same ones each time; eight times as many with --full.

    Within one test and not as a decorator: fixtures then last for all cases, and --full decides how many there are.
    """
    times = TIMES_IN_FULL if request.param == "full" else 1

    def run(check: Callable[..., Any], cases: int, **strategies: Any) -> None:
        few = settings(
            max_examples=cases * times, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        few(given(**strategies)(check))()

    return run


@pytest.fixture
def mdnbench(mdnbench: Callable[..., Any]) -> Callable[..., Any]:
    """The command line's own entry point, held to what it must do whatever it is given.

    No traceback, an exit code that means something, one line on stderr where the code is a refusal, and nothing that
    a terminal obeys.
    """

    def run(*arguments: object) -> Any:
        said = mdnbench(*arguments)
        code = said.code
        assert "Traceback" not in said.err, said.err
        assert code in CODES, said
        assert not [sign for sign in said.out + said.err if not (sign.isprintable() or sign in "\n")], said
        if code == 2 and "Usage:" not in said.err:
            assert (len(said.err.splitlines()), said.out) == (1, ""), said
        return said

    return run


@pytest.fixture
def attempt() -> Callable[..., tuple[Any, str]]:
    """`attempt(call, …)` gives what came of a call, or None and the one line in which it was refused."""

    def run(call: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
        try:
            return call(*arguments), ""
        except MdnbenchError as error:
            code, message = error.exit_code, str(error)
        assert (code, len(message.splitlines())) == (2, 1), message
        return None, message

    return run


@pytest.fixture
def tiny(workspace: Path) -> Path:
    """A data set that costs nothing to plan: one gray image of 64x64."""
    folder = workspace / "tiny"
    folder.mkdir()
    PIL.Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64).astype(np.uint8)).save(folder / "a.png")
    return folder


@pytest.fixture
def stored(finished: Results, workspace: Path) -> Path:
    """A workspace's folder with a copy of a store that holds a finished run, `done`, of eight cells."""
    folder = Path(shutil.copytree(finished.store.images, workspace / ".mdnbench" / "images")).parent
    with closing(sqlite3.connect(folder / "results.sqlite")) as copy:
        finished.store.connection.backup(copy)
    return folder


def state_of(folder: Path) -> dict[str, str]:
    """Every file below a folder by its digest; SQLite's own come and go, and a log that is empty says nothing."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith("-shm")]
    said = [path for path in files if path.stat().st_size or not path.name.endswith("-wal")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in said}


@pytest.fixture
def unchanged() -> Callable[[Path], contextlib.AbstractContextManager[None]]:
    """A block (`with …(folder):`) after which no file in the folder may be another one."""

    @contextlib.contextmanager
    def hold(folder: Path) -> Iterator[None]:
        before = state_of(folder)
        yield
        assert state_of(folder) == before

    return hold

"""The command line in this process: what it prints and the exit code that it ends with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from mdnbench.cli import main


@dataclass(frozen=True)
class Said:
    """What a command said: its exit code, its data and everything else."""

    code: int
    out: str
    err: str

    def complaint(self) -> str:
        """The one line that a mistake gets, on stderr; nothing may stand on stdout."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("mdnbench: ")
        return line


@pytest.fixture
def mdnbench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """`mdnbench("run", …)` is the command line's own entry point, without the seconds that a process takes."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["mdnbench", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1 if end.code else 0
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run

"""What the tests of the command line share: commands in this process, and folders of images."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from mdnbench.cli import main
from mdnbench.registry import load


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


@pytest.fixture
def photographs() -> Callable[[Path, tuple[str | bytes, ...]], Path]:
    """`photographs(folder, names)` is the folder, with images of these names, no two with the same pixels."""
    photo = load().datasets["sk12"].load("08")

    def write(folder: Path, names: tuple[str | bytes, ...]) -> Path:
        folder.mkdir()
        for number, name in enumerate(names):
            pixels = np.rint(photo[number * 7 : number * 7 + 24, :32] * 255).astype(np.uint8)
            with (folder / os.fsdecode(os.fsencode(name) + b".png")).open("wb") as file:
                PIL.Image.fromarray(pixels).save(file, format="PNG")
        return folder

    return write

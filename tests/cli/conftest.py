"""What the tests of the command line share: folders of images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from mdnbench.registry import load


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

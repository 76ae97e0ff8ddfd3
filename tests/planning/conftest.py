"""What the tests of planning share: small plans, their first cell, and folders of images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from mdnbench import api
from mdnbench.planning import Plan
from mdnbench.spec.records import Cell


@pytest.fixture(scope="session")
def plan() -> Callable[..., Plan]:
    """`plan(seeds=2)` plans one cell, changed."""

    def make(**changes: Any) -> Plan:
        keys: dict[str, Any] = {"methods": "noisy", "sigma": 50, "dataset": "sk12", "images": "01", "metrics": "psnr"}
        return api.plan(**{key: value for key, value in (keys | changes).items() if value is not None})

    return make


@pytest.fixture(scope="session")
def cell(plan: Callable[..., Plan]) -> Callable[..., Cell]:
    """`cell(sigma=25)` is the first cell of a plan."""

    def first(**changes: Any) -> Cell:
        planned = plan(**changes)
        return next(planned.cells(planned.works[0]))[1]

    return first


@pytest.fixture(scope="session")
def photograph() -> Callable[..., Path]:
    """`photograph(folder, "a.png", shape=(32, 40))` fills a folder with images, all different."""

    def write(folder: Path, *names: str, shape: tuple[int, ...] = (32, 40)) -> Path:
        folder.mkdir(exist_ok=True)
        for number, name in enumerate(names):
            pixels = np.random.default_rng([number, *shape]).integers(0, 256, shape, dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(folder / name)
        return folder

    return write

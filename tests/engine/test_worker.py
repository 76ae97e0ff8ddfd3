"""Workers: they score against the images that were planned, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mdnbench import api
from mdnbench.data.images import write_png
from mdnbench.listener import Listener


class Swaps(Listener):
    """Writes another image over a file once the plan is made, before the cells are computed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, phase: str, total: float) -> None:
        """Write it."""
        if phase == "cells":
            write_png(self._path, np.full((32, 40), 0.5, np.float32))


def test_an_image_that_changed_after_the_plan_is_not_scored(workspace: Path) -> None:
    """Its cells fail and name it and its data set; those of the other image are computed."""
    folder = workspace / "mine"
    folder.mkdir()
    for name, level in (("a", 0.2), ("b", 0.8)):
        write_png(folder / f"{name}.png", np.full((32, 40), level, np.float32))
    found = api.run(
        methods=["noisy"], sigma=[25], dataset=str(folder), metrics=["psnr"], timing=False, jobs=1,
        listener=Swaps(folder / "b.png"),
    )  # fmt: skip
    same, other = found.rows()
    assert (same.image, same.status) == ("a", "ok")
    assert (other.image, other.status) == ("b", "failed")
    assert f"image 'b' of the data set {folder} has changed since the run was planned" in other.reason

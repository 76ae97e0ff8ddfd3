"""Pictures of a run: found, made again and shown under the run's own rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mdnbench import api
from mdnbench.evaluation.protocols import ImageRule
from mdnbench.results.image_source import ImageCase, ImageSource

COARSE = """
name = "coarse"
version = 1
summary = "four bits, without the outermost pixels"
[input]
clamp = true
bits = 4
[scoring]
clamp = true
bits = 4
border = 8
"""


def test_a_protocol_of_ones_own_is_shown_as_it_scored(workspace: Path) -> None:
    """Sixteen levels and a smaller picture, and the noisy image comes back though no known protocol makes it so."""
    (workspace / "coarse.toml").write_text(COARSE, encoding="utf-8")
    found = api.run(
        methods="median", sigma=50, dataset="sk12", images="01", metrics="psnr", timing=False, jobs=1,
        protocol="coarse.toml",
    )  # fmt: skip
    darkroom, row = ImageSource(found), next(found.rows())
    assert darkroom.rule == ImageRule(clamp=True, bits=4, border=8)
    noisy = darkroom.noisy(ImageCase.of(row))
    assert noisy is not None
    shown = darkroom.levels(noisy)
    assert shown.shape == tuple(side - 16 for side in noisy.shape)
    assert len(np.unique(shown)) == 16

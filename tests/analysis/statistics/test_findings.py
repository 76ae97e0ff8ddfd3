"""A comparison in words: what cannot be computed is a dash in a table and null in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdnbench import api
from mdnbench.analysis import statistics
from mdnbench.analysis.statistics import paired
from mdnbench.analysis.statistics.findings import Mean
from mdnbench.results.table import Column

PLUGIN = """
    def failing_on(size):
        def denoise(noisy, noise):
            if noisy.shape[-1] == size:
                raise OSError("not this one")
            return noisy * 0.9
        return lambda options, device, weights: denoise

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec(f"not-{size}", "1", "", failing_on(size)) for size in (256, 512)]
"""


def test_methods_without_a_cell_in_common(plugin: Callable[..., Path], cli: Any) -> None:
    """Each method has another image: there is no difference to show, no test, and no NaN in the JSON."""
    found = api.run(
        methods=["not-256", "not-512"], plugins=[str(plugin(PLUGIN))], noise="gaussian:50", dataset="sk12",
        images=["01", "08"], metrics=["psnr"], timing=False, jobs=1, out="apart",
    )  # fmt: skip
    assert found.counts == {"ok": 2, "failed": 2}
    done = cli("compare", found.folder)
    assert done.returncode == 0, done.stderr
    assert re.search(r"not-\d+ +not-\d+ +– +– +– +–", done.stdout)

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    text = cli("compare", found.folder, "--json").stdout
    (pair,) = json.loads(text, parse_constant=refuse)["families"][0]["pairs"]
    assert (pair["difference"], pair["p"], pair["cells"]) == (None, None, 0)


@pytest.mark.parametrize(("images", "methods", "shown"), [(3, 3, False), (5, 2, False), (6, 2, True), (7, 3, True)])
def test_tests_that_could_not_have_come_out_otherwise_are_not_printed(images: int, methods: int, shown: bool) -> None:
    """Where the smallest p of so many images and pairs is above 0.05, p and what is detectable are dashes."""
    names = [f"m{index}" for index in range(methods)]
    scores = [np.linspace(index, index + 1 + index / 2, images)[:, None] for index in range(methods)]
    places = [(first, second) for first in range(methods) for second in range(first + 1, methods)]
    pairs = paired.compare(
        [(names[first], names[second]) for first, second in places],
        [scores[first] - scores[second] for first, second in places], sign=1, tie=0.005,
    )  # fmt: skip
    means = tuple(Mean(name, 30.0, 29.0, 31.0, images, images, 0) for name in names)
    family = statistics.Family("gaussian:sigma=50", Column("psnr", "higher", "dB", 2), images, 1, means, tuple(pairs))
    assert all(pair.p is not None and pair.detectable is not None for pair in pairs)
    *_, table = statistics.tables_of(family)
    assert len(table.rows) == len(pairs)
    for row in table.rows:
        _, _, _, interval, p, detectable = (cell.text for cell in row)
        assert [p != "–", detectable != "–"] == [shown, shown]
        assert interval != "–"
    said = " ".join(statistics.sentences(family))
    assert ("four times out of five" in said) is shown
    assert ("no difference, however large" in said) is not shown

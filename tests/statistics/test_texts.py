"""A comparison in words: what cannot be computed is a dash in a table and null in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mdnbench import api

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

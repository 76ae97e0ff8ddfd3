"""Results of another store count only if they are about the code that is here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.errors import BadPlugin
from mdnbench.planning.identity import METHOD, Manifests
from mdnbench.spec.records import UsedFile
from mdnbench.store import open_store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what C code and programs open")

LATE = """
    import mdnbench

    def build(options, device, weights):
        def denoise(noisy, noise):
            if noisy[0, 47] > 0.5:  # image 1
                return noisy * 0 + 0.5
            from extra import LEVEL  # needed for image 2 alone
            return noisy * 0 + LEVEL
        return mdnbench.numpy_denoiser(denoise)

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("late", "1", "x", build)]
"""
LATE_METRIC = """
    import mdnbench

    def build(device):
        def measure(denoised, clean):
            if clean[0, 47] > 0.5:
                return 1.0
            from extra import LEVEL
            return LEVEL
        return measure

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec("mine", "1", "mine", "lower", build)]
"""
FILES = (("plugin.py", "a" * 64), ("extra.py", "b" * 64), ("extra.py", "c" * 64))


@pytest.fixture
def labs(new_lab: Callable[[Path], Any], tmp_path: Path) -> tuple[Any, Any]:
    """Two authors with the same plugin, whose module for the second image differs."""
    found = []
    for name, level in (("mine", 0.5), ("theirs", 0.1)):
        (tmp_path / name).mkdir()
        lab = new_lab(tmp_path / name)
        lab.write("extra.py", f"LEVEL = {level}\n")
        found.append(lab)
    return found[0], found[1]


@pytest.mark.parametrize(("plugin", "metrics"), [(LATE, "psnr"), (LATE_METRIC, "mine")], ids=["method", "metric"])
def test_fault_31_merged_results_of_late_modules(labs: tuple[Any, Any], plugin: str, metrics: str) -> None:
    """Both stores begin with the same files; what only the other author's module made answers nothing here."""
    mine, theirs = labs
    method = "late" if plugin is LATE else "noisy"
    for lab in labs:
        lab.write("plugin.py", plugin, plugin=True)
    expected = mine.run(method, metrics=metrics).values(method, metrics)
    for path in (mine.folder / ".mdnbench").glob("results.sqlite*"):
        path.unlink()
    mine.run(method, metrics=metrics, images=["1"])
    other = theirs.run(method, metrics=metrics).values(method, metrics)
    assert other[1] != expected[1]
    api.merge_store(theirs.folder / ".mdnbench", workspace_folder=mine.folder / ".mdnbench")
    merged = mine.run(method, metrics=metrics)
    assert merged.values(method, metrics) == expected
    assert merged.tally.cached == 1
    assert mine.run(method, metrics=metrics).tally.cached == 2


def test_two_runs_at_once_never_share_a_manifest_of_different_files(workspace: Path) -> None:
    """What one run has added counts for the other, which began with the same files and finds another one later."""
    plugin, mine, theirs = (UsedFile("plugin", name, code, code) for name, code in FILES)
    with open_store(workspace / "results.sqlite") as store:
        first, second = (Manifests(store, {"scope": {METHOD: workspace}}) for _ in range(2))
        with store.transaction():
            one = first.use("scope", {METHOD: (plugin,)}, "the method")
            two = second.use("scope", {METHOD: (plugin,)}, "the method")
            assert (one.id, one.token) == (two.id, two.token)
            first.use("scope", {METHOD: (plugin, mine)}, "the method")
            with pytest.raises(BadPlugin, match=r"extra\.py"):
                second.use("scope", {METHOD: (plugin, theirs)}, "the method")
            assert second.use("scope", {METHOD: (plugin, mine)}, "the method").id == one.id

"""Each hook by its name: a plugin file implements it, and a real run uses what it brings."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mdnbench import api
from mdnbench.registry import HOOKS
from mdnbench.results import Results
from mdnbench.spec import hookspecs

PLUGINS = {
    "halves": """
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            def build(options, device, weights):
                return lambda noisy, noise: noisy * options["by"] + noise.std
            by = mdnbench.Option("by", float, default=0.5, minimum=0, maximum=1)
            return [mdnbench.DenoiserSpec("halve", "1", "scales its input", build, options=(by,), wants="std")]
    """,
    "shifts": """
        @mdnbench.hookimpl
        def mdnbench_noises():
            def apply(clean, rng, by):
                return clean + by / 255
            by = mdnbench.Option("by", float, minimum=0, maximum=255)
            return [mdnbench.NoiseSpec("shift", "1", "adds a constant", apply, lambda by: by / 255, parameters=(by,))]
    """,
    "ramps": """
        @mdnbench.hookimpl
        def mdnbench_datasets():
            def load(name):
                import numpy as np
                image = np.tile(np.linspace(0, 0.5, 32, dtype=np.float32), (24, 1))
                return image if name == "across" else np.ascontiguousarray(image.T)
            return [mdnbench.DatasetSpec("ramps", "two ramps", "test", 1, ("across", "down"), load)]
    """,
    "errors": """
        @mdnbench.hookimpl
        def mdnbench_metrics():
            def build(device):
                return lambda denoised, clean: float(abs(denoised - clean).mean() * 255)
            return [mdnbench.MetricSpec("diff", "1", "mean absolute error", "lower", build, unit="levels", digits=1)]
    """,
    "counts": """
        @mdnbench.hookimpl
        def mdnbench_reporters():
            def write(results, folder):
                path = folder / "count.txt"
                path.write_text(f"{results.name}: {sum(1 for _ in results.rows())} cells")
                return path
            return [mdnbench.ReporterSpec("count", "the number of cells", write)]
    """,
}


@dataclass
class Used:
    """A run that used all five, and the folder that its report was written to."""

    results: Results
    report: Path


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    """One run with a method, noise, data set, metric and reporter that plugin files bring."""
    folder = tmp_path_factory.mktemp("hooks")
    (folder / "plugins").mkdir()
    for name, text in PLUGINS.items():
        (folder / "plugins" / f"{name}.py").write_text("import mdnbench\n" + textwrap.dedent(text), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDNBENCH_PLUGINS", str(folder / "plugins"))
        results = api.run(
            methods=["halve", "halve[by=1]"], noise="shift:51", dataset="ramps", metrics=["diff", "psnr"], timing=False,
            jobs=1, protocol="float", workspace_folder=folder / ".mdnbench",
        )  # fmt: skip
        (path,) = api.report(results, ["count"], folder=folder / "reports")
        yield Used(results, path)


def test_every_hook_has_its_test() -> None:
    """The hooks of `hookspecs`, those that the registry calls, and the tests of this module are the same five."""
    declared = {name for name in vars(hookspecs) if name.startswith("mdnbench_")}
    tested = {name.removeprefix("test_hook_") for name in globals() if name.startswith("test_hook_")}
    assert declared == set(HOOKS) == tested


def test_hook_mdnbench_denoisers(used: Used) -> None:
    """A method from a file is run with its options, and is told the noise level that it wants."""
    mean = {(row.method): row.means["diff"] for row in used.results.means}
    assert mean["halve"] == pytest.approx(255 * (0.5 * 0.2 + 0.2 - 0.5 * 0.25), abs=0.01)
    assert mean["halve[by=1]"] == pytest.approx(255 * 0.4, abs=0.01)


def test_hook_mdnbench_noises(used: Used) -> None:
    """A noise from a file is what the method was given: shifted by 51 levels and once more by its own level."""
    whole = [row for row in used.results.rows() if row.method == "halve[by=1]"]
    assert {row.noise for row in whole} == {"shift:by=51"}
    for row in whole:
        assert row.value("psnr") == pytest.approx(-20 * math.log10(0.4), abs=1e-4)


def test_hook_mdnbench_datasets(used: Used) -> None:
    """The images of a data set from a file are the run's images, in their order."""
    assert used.results.run.facts.dataset == "ramps"
    assert list(used.results.run.facts.images) == ["across", "down"]
    assert used.results.counts == {"ok": 4}


def test_hook_mdnbench_metrics(used: Used) -> None:
    """A metric from a file has its column, with its unit, direction and digits."""
    column = used.results.tables[0].columns[1]
    assert column.title == "DIFF levels ↓"
    assert column.show(12.345) == "12.3"
    assert "diff" in used.results.columns


def test_hook_mdnbench_reporters(used: Used) -> None:
    """A reporter from a file writes the results down where it is told to."""
    assert used.report.name == "count.txt"
    assert used.report.read_text(encoding="utf-8") == f"{used.results.name}: 4 cells"

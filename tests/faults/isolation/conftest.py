"""What the tests of isolation share: methods and a metric, run without and with a plugin that misbehaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Lab = Any

# How processes start: forked from the server, or spawned as on other systems.
STARTS = ("fork", pytest.param("spawn", marks=pytest.mark.full))

# What the others' scores are taken from: a method of ours, one from a file, a metric from a file.
OTHERS = """
    import json, pickle
    import mdnbench

    def build(options, device, weights):
        import torch
        kernel = torch.ones(1, 1, 3, 3) / 9
        def denoise(noisy, noise):
            json.loads(json.dumps(noise.std)), pickle.loads(pickle.dumps(noise.std))
            return torch.nn.functional.conv2d(noisy, kernel, padding=1)
        return denoise

    def score(denoised, clean):
        import numpy
        return float(numpy.sqrt(numpy.mean(numpy.square(denoised - clean))))

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("box", "1", "x", build)]

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec("rmse", "1", "x", "lower", score and (lambda device: score))]
"""
OWN = "noisy median box"
METRICS = ("psnr", "ssim", "rmse")

# What the text of a plugin that misbehaves begins with.
TOOLS = """
    import builtins, json, os, sys
    from pathlib import Path
    import mdnbench

    HERE = Path(__file__).parent

    def prove(name, found):
        path = HERE / "proofs" / f"{name}.json"
        path.exists() or path.write_text(json.dumps(found))  # of the first call: later ones find the patch in force

    def spec(name, call, when="denoise"):
        def build(options, device, weights):
            if when == "build":
                call()
            def denoise(noisy, noise):
                if when == "denoise":
                    call()
                return noisy.clone()
            return denoise
        return mdnbench.DenoiserSpec(name, "1", "x", build)
"""

# What of the others must be equal to the last digit, as their cells are printed.
SHOWN = ("status", "psnr", "ssim", "rmse", "noisy_digest", "output_digest")


@pytest.fixture(scope="module", params=STARTS)
def start(request: pytest.FixtureRequest) -> str:
    """How the processes of methods start."""
    return str(request.param)


@pytest.fixture(scope="session")
def tools() -> str:
    """What the text of a plugin that misbehaves begins with."""
    return TOOLS


@pytest.fixture(scope="session")
def metrics() -> tuple[str, ...]:
    """The metrics of the runs."""
    return METRICS


def _digits(ran: Any) -> dict[Any, Any]:
    found = {}
    for key, row in ran.rows.items():
        if row.method in OWN.split() and row.noise.startswith("gaussian"):
            values = [(name, score.status, score.value) for name, score in row.scores.items() if name in METRICS]
            found[key] = (row.status, row.reason, row.noisy_digest, row.output_digest, sorted(values))
    return found


@pytest.fixture(scope="session")
def digits() -> Callable[[Any], dict[Any, Any]]:
    """`digits(ran)` is all that must be equal to the last digit, of the other methods."""
    return _digits


@dataclass
class Pair:
    """A run of the others alone, the same run with a plugin that misbehaves, and the folder of its proofs."""

    alone: Any
    together: Any
    folder: Path

    def proofs(self) -> dict[str, Any]:
        """What the plugin found out about itself, by the name of each part."""
        return {path.stem: json.loads(path.read_text()) for path in (self.folder / "proofs").glob("*.json")}


def _pair(lab: Lab, start: str, text: str, methods: str, **keys: Any) -> Pair:
    (lab.folder / "proofs").mkdir()
    lab.write("others.py", OTHERS, plugin=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(lab.folder)
        patch.setenv("MDNBENCH_HOME", str(lab.folder / "home"))
        patch.setenv("MDNBENCH_START", start)
        alone = lab.run(OWN, metrics=METRICS, fresh=True, out="alone")
        lab.write("bad.py", TOOLS + text, plugin=True)
        keys = {"metrics": METRICS, **keys}
        together = lab.run(f"{methods} {OWN}", fresh=True, out="together", **keys)
    return Pair(alone, together, lab.folder)


@pytest.fixture(scope="session")
def pair() -> Callable[..., Pair]:
    """`pair(lab, start, text, methods)` runs the others alone, and then behind the methods of a plugin."""
    return _pair


@dataclass
class Imports:
    """Runs of the command line with plugins that do something while they are imported, and a run without them."""

    lab: Lab
    cli: Any
    read: Any
    alone: dict[Any, Any]

    def write(self, name: str, text: str) -> Path:
        """Write a plugin."""
        path: Path = self.lab.write(f"{name}.py", TOOLS + text)
        return path

    def run(self, methods: str, *plugins: Path, metrics: str = "psnr,ssim,rmse", noise: str = "gaussian:25") -> Any:
        """Run methods of these plugins in front of the others."""
        more = [f"--plugin={path}" for path in plugins]
        given = self.lab.arguments(f"{methods} {OWN}", "--fresh", "--metrics", metrics, *more, noise=noise)
        folder = self.lab.folder
        return self.cli(*given, cwd=folder, MDNBENCH_HOME=str(folder / "home"), timeout=100)

    def changed(self, printed: str) -> dict[Any, Any]:
        """The cells of the others that are not those of a run without such plugins."""
        found = self.read(printed)
        return {key: found.get(key) for key, cell in self.alone.items() if shown(found[key]) != shown(cell)}


def shown(cell: dict[str, Any]) -> dict[str, Any]:
    """What must be equal to the last digit."""
    return {name: cell[name] for name in SHOWN}


@pytest.fixture(scope="session")
def imports(tmp_path_factory: pytest.TempPathFactory, new_lab: Any, cli: Any, printed_cells: Any) -> Imports:
    """A folder for plugins, and the cells of a run of the others alone."""
    lab = new_lab(tmp_path_factory.mktemp("imports"))
    (lab.folder / "proofs").mkdir()
    lab.write("others.py", OTHERS, plugin=True)
    found = Imports(lab, cli, printed_cells, {})
    done = found.run("")
    assert done.returncode == 0, done.stderr
    found.alone = printed_cells(done.stdout)
    return found

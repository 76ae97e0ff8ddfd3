"""What the benchmarks share: figures with their limits, commands whose memory is watched, tiles, stores of any size.

A benchmark has two forms. The small one belongs to the ordinary tests: it asserts what must hold at any speed. The full
one (`-n 0 --full --benchmark-enable`) measures, prints a table of figures at the end, and holds them to their limits.
It is skipped while the machine is busy with something else, because its figures would say nothing. `--benchmark-enable`
without `--full` measures and prints, and holds nothing to a limit.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import psutil
import pytest

from mdnbench import api, registry
from mdnbench.engine import threads
from mdnbench.engine.coordinator import facts, provenance_of
from mdnbench.planning import Plan
from mdnbench.planning.identity import CodeIdentity
from mdnbench.registry import variants
from mdnbench.spec.records import MetricScore, NoiseInfo, Outcome
from mdnbench.store import manifests, open_store

BUSY_CORES = 0.25  # more than this in use by others, and a measurement waits for another day
TILE = 64
METHODS = (
    "noisy", "tv", "bm3d", "bm3d[profile=lc]", "dncnn", "unet", "masked-unet",
    *(f"median[size={size}]" for size in (3, 5, 7, 9)),
    *(f"nlm[patch={patch}]" for patch in (3, 5, 7)),
    *(f"wavelet[shifts={shifts}]" for shifts in (1, 2, 3, 4, 6, 8)),
)  # fmt: skip
NOISES = ("gaussian:15", "gaussian:25", "gaussian:50", "poisson:60", "speckle:25")
METRICS = ("psnr", "ssim", "lpips")  # those of a run that asks for none


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave benchmarks out where the lines that tests reach are counted: that slows down what is measured here."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.no_cover)


WATCHED = """
import pathlib, runpy, sys, time

from mdnbench.util import ending

def note():
    from mdnbench.timing import memory
    pathlib.Path(path).write_text(f"{memory.peak_bytes()} {time.process_time()}")

path = sys.argv.pop(1)
ending.register(note)  # commands end without calling handlers of atexit
runpy.run_module("mdnbench", run_name="__main__", alter_sys=True)
"""

_figures: list[tuple[str, str, str]] = []


@dataclass(frozen=True)
class Ran:
    """A command that has ended: its wall time from start to end, its own peak memory and processor time, its output.

    What its workers took is not in it.
    """

    seconds: float
    peak_bytes: int
    processor_s: float
    code: int
    out: str


@dataclass(frozen=True)
class Filled:
    """A workspace whose run `big` holds invented scores, the arguments that plan it, and its mean PSNRs.

    The means are by noise and method, summed up while writing.
    """

    folder: Path
    arguments: tuple[object, ...]
    scores: int
    means: Mapping[tuple[str, str], float]


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether figures are held to their limits: with --full, on a machine that has nothing else to do."""
    if not request.config.getoption("--full"):
        return False
    if _is_small_form(request.node):
        pytest.skip("its full form is what is measured")
    others = psutil.cpu_percent(interval=1.0) / 100 * (psutil.cpu_count() or 1)
    if others > BUSY_CORES:
        pytest.skip(f"{others:.1f} cores are busy with something else; a figure would say nothing")
    return True


def _is_small_form(test: pytest.Item) -> bool:
    """Whether a test is the small one of two forms: the other has the mark `full`."""
    values = [value for mark in test.iter_markers("parametrize") for value in mark.args[1]]
    forms = any(mark.name == "full" for value in values for mark in getattr(value, "marks", ()))
    return forms and test.get_closest_marker("full") is None


@pytest.fixture
def figure(full: bool) -> Callable[..., None]:
    """`figure("what", 1.2, "ms", below=2)` puts a figure into the table, and in the full form holds it to its limit."""

    def note(what: str, value: float, unit: str, *, below: float | None = None, least: float | None = None) -> None:
        limit = f"below {below:g}" if below is not None else f"at least {least:g}" if least is not None else ""
        _figures.append((what, f"{value:.3g} {unit}", f"{limit} {unit}" if limit else ""))
        if full:
            assert below is None or value < below, f"{what}: {value:.3g} {unit}, {limit} is allowed"
            assert least is None or value >= least, f"{what}: {value:.3g} {unit}, {limit} is allowed"

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures that were measured as a Markdown table."""
    if _figures and config.getoption("--benchmark-enable"):
        rows = [("what", "measured", "limit"), ("---",) * 3, *_figures]
        terminalreporter.section("figures")
        for row in rows:
            terminalreporter.write_line(f"| {' | '.join(row)} |")


@pytest.fixture
def watched(tmp_path: Path) -> Callable[..., Ran]:
    """`watched(folder, "run", …)` runs the real command line there, and looks at its time and memory."""

    def run(folder: Path, *arguments: object) -> Ran:
        peak = tmp_path / "peak"
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, str(peak), *map(str, arguments)],
            capture_output=True, text=True, encoding="utf-8", cwd=folder, env=os.environ, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        assert done.returncode in (0, 1), done.stderr
        peak_bytes, processor_s = peak.read_text().split()
        return Ran(seconds, int(peak_bytes), float(processor_s), done.returncode, done.stdout)

    return run


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As a worker has it."""
    import threadpoolctl
    import torch

    before = torch.get_num_threads()
    with threadpoolctl.threadpool_limits():
        threads.hold()
        yield
    torch.set_num_threads(before)


@pytest.fixture
def learned() -> Callable[[str, Any], Callable[[], Any]]:
    """`learned("unet", noisy)` calls a method, with the weights of a run at sigma 50, on an image (1, 1, H, W)."""

    def make(method: str, noisy: Any) -> Callable[[], Any]:
        work = api.plan(methods=[method], sigma=50, dataset="sk12", images=["01"]).works[0]
        denoise = work.spec.build(variants.own(work.spec, work.named), "cpu", work.weights)
        return lambda: denoise(noisy, NoiseInfo(std=50 / 255, source="known"))

    return make


@pytest.fixture(scope="session")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """`tiles(100)` is a folder of so many 64×64 tiles, cut from the photographs of sk12."""
    sk12 = registry.load().datasets["sk12"]

    def folder(count: int) -> Path:
        path = tmp_path_factory.mktemp("tiles")
        photographs = [sk12.load(identity) for identity in sk12.images]
        cuts = (
            photograph[top : top + TILE, left : left + TILE]
            for photograph in photographs
            for top in range(0, photograph.shape[0] - TILE + 1, TILE)
            for left in range(0, photograph.shape[1] - TILE + 1, TILE)
        )
        for number, cut in zip(range(count), cuts, strict=False):
            PIL.Image.fromarray(np.rint(cut * 255).astype(np.uint8)).save(path / f"{number:03}.png")
        return path

    return folder


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, tiles: Callable[[int], Path]) -> Callable[[int], Filled]:
    """`filled(1_000)` is a workspace with at least so many scores, put there by the store's own writer."""

    def fill(scores: int) -> Filled:
        images = 4 if scores < 100_000 else 100
        seeds = math.ceil(scores / (len(METRICS) * len(METHODS) * len(NOISES) * images))
        folder, pictures = tmp_path_factory.mktemp("filled"), tiles(images)
        plan = api.plan(methods=METHODS, noise=NOISES, dataset=str(pictures), metrics=METRICS, seeds=seeds, out="big")
        means = {pair: math.fsum(values) / len(values) for pair, values in _write(folder, plan).items()}
        methods, metrics = ",".join(METHODS), ",".join(METRICS)
        arguments = ("--methods", methods, "--dataset", pictures, "--metrics", metrics, "--seeds", seeds)
        noises = tuple(part for noise in NOISES for part in ("--noise", noise))
        return Filled(folder, (*arguments, *noises, "--out", "big"), len(METRICS) * plan.size, means)

    return fill


def _write(folder: Path, plan: Plan) -> dict[tuple[str, str], list[float]]:
    """Every cell of a plan with invented scores, committed method by method, and a baseline made of them: the PSNRs."""
    written = defaultdict(list)
    store = open_store(folder / ".mdnbench" / "results.sqlite")
    code = CodeIdentity(plan, store)
    revisions = code.metrics.scored_as
    run = store.start_run(plan.name, plan.size, facts(plan, {}, revisions))
    code.metrics.begin()
    for work in plan.works:
        provenance = provenance_of(plan, work)
        with store.transaction():
            manifest = code.record(work, {})
            for position, cell in plan.cells(work):
                psnr = 20 + work.index / 8 + position % 97 / 10
                values = (psnr, psnr / 50, 1 - psnr / 50)
                measured = tuple(MetricScore(*each) for each in zip(METRICS, repeat("ok"), values, strict=False))
                written[cell.noise, cell.method].append(psnr)
                outcome = Outcome(cell.output, "ok", "", "", 0.1, None, cell.case, cell.output, measured)
                identity = store.save(
                    cell, outcome, plan.protocol.scoring.digest, revisions, provenance,
                    key=manifests.output_key(cell.output, manifest.token), manifest=manifest.id,
                )  # fmt: skip
                store.add_cells(run, [(position, identity, cell)])
    store.finish_run(run)
    store.close()
    api.write_baseline(api.open_run("big", workspace_folder=folder / ".mdnbench"), folder / "before")
    return written

"""What the engine costs: the wall time of a cell that does nothing, its growth, and how busy the cores are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import Results, api, registry
from mdnbench.data import fetch
from mdnbench.errors import DataMissing
from mdnbench.evaluation import cases
from mdnbench.planning import environment

pytestmark = pytest.mark.timeout(1800)
Watched = Callable[..., Any]


def opened(folder: Path, name: str) -> Results:
    """A run of that workspace."""
    return api.open_run(name, workspace_folder=folder / ".mdnbench")


@pytest.mark.parametrize(("few", "many"), [(100, 200), pytest.param(10_000, 100_000, marks=pytest.mark.full)])
def test_the_cost_of_a_cell_and_its_growth(
    few: int, many: int, benchmark: Any, figure: Any, watched: Watched, tiles: Any, workspace: Path
) -> None:
    """Cells that do nothing, by the real command: each is computed once and right, soon, and fills no memory."""
    pictures = tiles(100)

    def run(cells: int) -> Any:
        return watched(
            workspace, "run", "--methods", "noisy", "--sigma", 50, "--dataset", pictures, "--metrics", "psnr",
            "--seeds", cells // 100, "--fresh", "--jobs", 2, "--no-timing", "--out", f"cost-{cells}",
        )  # fmt: skip

    first = run(few)
    second = benchmark.pedantic(run, args=(many,), rounds=1)
    for cells, ran in ((few, first), (many, second)):
        figure(f"wall time per cell, {cells:,} cells", ran.seconds / cells * 1e3, "ms", below=2)
        figure(f"memory of the coordinator, {cells:,} cells", ran.peak_bytes / 2**20, "MiB")
    figure(f"memory, {many:,} cells over {few:,}", second.peak_bytes / first.peak_bytes, "×", below=1.2)
    rows = list(opened(workspace, f"cost-{many}").rows())
    assert len({row.noisy_digest for row in rows if row.status == "ok"}) == many
    for row in (rows[0], rows[many // 2], rows[-1]):
        assert row.noisy_digest == noisy_digest(pictures, row.image, row.seed)


def noisy_digest(pictures: Path, image: str, seed: int) -> str:
    """The digest of a case's noisy image, made here and by no worker."""
    plan = api.plan(methods=["noisy"], sigma=50, dataset=str(pictures), images=[image], seeds=seed + 1)
    work, planned = plan.works[0], plan.images[0]
    key = plan.cell(work, planned, seed).case
    noise = work.noise
    return cases.make(plan.dataset.load(image), key, noise.named, noise.spec, plan.protocol.input, "known").noisy_digest


@pytest.mark.parametrize(
    ("methods", "dataset", "images"),
    [
        ("median,tv", "sk12", "01,02"),
        # The package's BM3D, because the share is that of methods which take seconds an image.
        pytest.param("bm3d[engine=package],dncnn,unet", "set12", "", marks=pytest.mark.full),
    ],
)
def test_the_cores_are_busy_with_the_methods(
    methods: str, dataset: str, images: str, benchmark: Any, figure: Any, watched: Watched, workspace: Path
) -> None:
    """The methods' own calls take nearly all of the cores' time, from the command's start to its end."""
    try:
        fetch(registry.load().datasets[dataset])
    except DataMissing as error:
        pytest.skip(str(error))
    arguments = (
        "run", "--methods", methods, "--sigma", 50, "--dataset", dataset, "--metrics", "psnr,ssim", "--no-timing",
        "--fresh", "--out", "busy", *(("--images", images) if images else ()),
    )  # fmt: skip
    ran = benchmark.pedantic(watched, args=(workspace, *arguments), rounds=1)
    seconds = [row.seconds for row in opened(workspace, "busy").rows()]
    share = sum(seconds) / (environment.cores() * ran.seconds)
    figure(f"share of the cores' time in the calls of {methods} on {dataset}", 100 * share, "%", least=90)
    assert min(seconds) > 0
    assert share < 1, "no second of a method can be counted twice"

"""Grids: every method under every noise, and what a method gains from being told about the noise."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mdnbench import api
from mdnbench.results import Results, grids
from mdnbench.results.render import terminal
from mdnbench.store import stored_images

NOISES = ["gaussian:10", "gaussian:50", "poisson:30", "salt-pepper:0.05"]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    """The same run with known, estimated and withheld noise information."""
    folder = tmp_path_factory.mktemp("told") / ".mdnbench"
    return {
        info: api.run(
            methods=["median", "tv"], noise=NOISES, dataset="sk12", images=["01"], metrics=["psnr"], timing=False,
            jobs=1, out=info, noise_info=info, workspace_folder=folder,
        )
        for info in ("known", "estimated", "withheld")
    }  # fmt: skip


def test_a_grid_holds_the_means_and_marks_the_best(told: dict[str, Results]) -> None:
    """Methods and noises in the run's order, the values of the tables, one best under each noise."""
    found = told["known"]
    (grid,) = grids.of_run(found.run, found.means)
    assert grid.names == ("median", "tv")
    assert [table.caption for table in found.tables] == [
        "gaussian:sigma=10", "gaussian:sigma=50", "poisson:peak=30", "salt-pepper:density=0.05"
    ]  # fmt: skip
    for table in found.tables:
        cells = grid.column(grids.short([table.caption])[table.caption])
        for method, cell in table.column("psnr").items():
            assert cells[method].value == cell.value
            assert (cells[method].mark == "best") == (cell.mark == "best")


def test_how_near_the_best_a_value_is() -> None:
    """1 for the best under a noise and 0 for the worst, by the metric's direction; infinite values have no place."""
    values = (0.1, 0.4, 0.2, math.inf, None)
    for direction, expected in (("lower", [1, 0, 2 / 3, None, None]), ("higher", [0, 1, 1 / 3, None, None])):
        assert [grids.near(value, values[:3], direction) for value in values] == pytest.approx(expected)
        assert grids.near(3.0, [3.0], direction) == 1


def test_a_terminal_gets_a_heat_map(told: dict[str, Results]) -> None:
    """The best under a noise is brightest, the worst darkest; without colours the numbers alone are left."""
    found = told["known"]
    (grid,) = grids.of_run(found.run, found.means)
    cells = grid.column("gaussian:10")
    best = next(method for method, cell in cells.items() if cell.mark == "best")
    (worst,) = set(grid.names) - {best}
    bright, dark = (terminal._styled(grid, cells[method], 80) for method in (best, worst))
    assert [str(span.style) for span in (*bright.spans, *dark.spans)] == [terminal.SHADES[-1], terminal.SHADES[0]]
    assert (bright.plain, dark.plain) == (f"*{cells[best].text}", cells[worst].text)


def test_a_wide_grid_is_turned(told: dict[str, Results]) -> None:
    """Few noises stand across, many run down; the texts are the same."""
    found = told["known"]
    (grid,) = grids.of_run(found.run, found.means)
    titles = [column.title for column in grid.columns]
    assert titles == ["Method", "gaussian:10", "gaussian:50", "poisson:30", "salt-pepper:0.05"]
    assert grid.names == ("median", "tv")
    first, *_ = found.means
    many = [
        dataclasses.replace(first, method=method, noise=f"gaussian:sigma={level}", means={"psnr": mean})
        for level in range(20)
        for method, mean in (("median", None), ("tv", 27.123))
    ]
    (turned,) = grids.of_run(found.run, many)
    assert [column.title for column in turned.columns] == ["Noise", "median", "tv"]
    assert [cell.text for cell in turned.rows[3]] == ["gaussian:3", "–", "27.12"]


def test_short_names_stay_different() -> None:
    """Names of parameters are dropped unless two noises would then read alike."""
    assert grids.short(["gaussian:sigma=25", "poisson:peak=30"]) == {
        "gaussian:sigma=25": "gaussian:25",
        "poisson:peak=30": "poisson:30",
    }
    alike = ["mixed:sigma=25", "mixed:peak=25"]
    assert list(grids.short(alike).values()) == alike


def test_known_estimated_and_withheld_stand_side_by_side(told: dict[str, Results]) -> None:
    """Runs that differ in the noise information alone are found in the store; blind methods make no difference."""
    known = grids.by_noise_info(told["estimated"])
    assert known is not None
    assert known.runs == {"known": "known", "estimated": "estimated", "withheld": "withheld"}
    rows = {(row.method, row.noise): row for row in known.rows}
    assert not rows["median", "gaussian:sigma=50"].matters
    assert rows["tv", "gaussian:sigma=50"].matters
    for info, found in told.items():
        mean = next(row.means["psnr"] for row in found.means if (row.method, row.noise) == ("tv", "gaussian:sigma=50"))
        assert rows["tv", "gaussian:sigma=50"].means[info] == mean


def test_methods_are_told_what_the_run_says(plugin: Callable[..., Path]) -> None:
    """A method that paints what it is told: the parameters' level, scikit-image's estimate of it, or nothing."""
    from skimage.restoration import estimate_sigma

    path = plugin("""
        def build(options, device, weights):
            return lambda noisy, noise: noisy * 0 + (-1 if noise.std is None else noise.std)

        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec("hearsay", "1", "what it is told", build, wants="std")]
    """)
    told: dict[tuple[str, str], float] = {}
    noisy: dict[str, Any] = {}
    for info in ("known", "estimated", "withheld"):
        found = api.run(
            methods=["noisy", "hearsay"], noise=["gaussian:25", "poisson:30"], dataset="sk12", images=["01"],
            metrics=["psnr"], timing=False, jobs=1, out=info, noise_info=info, plugins=[str(path)],
        )  # fmt: skip
        for row in found.rows():
            image = stored_images.load(found.store.images, row.output_digest)
            assert image is not None
            if row.method == "noisy":
                noisy[row.noise] = image
            else:
                told[info, row.noise] = float(image.mean())
    estimates = {noise: float(estimate_sigma(image)) for noise, image in noisy.items()}
    assert told == {
        ("known", "gaussian:sigma=25"): pytest.approx(25 / 255),
        ("known", "poisson:peak=30"): -1,  # its level depends on the image
        ("estimated", "gaussian:sigma=25"): pytest.approx(estimates["gaussian:sigma=25"], rel=1e-5),
        ("estimated", "poisson:peak=30"): pytest.approx(estimates["poisson:peak=30"], rel=1e-5),
        ("withheld", "gaussian:sigma=25"): -1,
        ("withheld", "poisson:peak=30"): -1,
    }
    assert estimates["gaussian:sigma=25"] == pytest.approx(25 / 255, rel=0.1)


def test_only_whole_means_stand_side_by_side(finished: Results) -> None:
    """What a method gains by what it is told is not read off means over different images."""
    first, *others = finished.means
    lucky = dataclasses.replace(first, infinite={"psnr": 1})
    found: Any = SimpleNamespace(run=finished.run, means=[lucky, *others])
    by_metric = grids._whole(found)
    assert (first.method, first.noise) not in by_metric["psnr"]
    assert (first.method, first.noise) in by_metric["ssim"]
    assert len(by_metric["psnr"]) == len(others)


def test_runs_of_other_data_are_no_siblings(finished: Results) -> None:
    """Without a run that differs in the noise information alone there is nothing to show."""
    assert grids.by_noise_info(finished) is None


def test_an_infinite_mean_is_the_best(workspace: Path) -> None:
    """Without noise the noisy image is perfect: the grid shows ∞ and the star where the table does."""
    found = api.run(
        methods=["noisy", "median"], noise=["salt-pepper:0", "gaussian:25"], dataset="sk12", images=["01"],
        metrics=["psnr"], timing=False, jobs=1, out="clean",
    )  # fmt: skip
    (grid,) = grids.of_run(found.run, found.means)
    cells = grid.column("salt-pepper:0")
    assert (cells["noisy"].text, cells["noisy"].mark) == ("∞", "best")
    assert cells["median"].mark == ""
    assert terminal._text(grid, cells["noisy"]) == "*∞"


def test_other_versions_are_no_noise_information(plugin: Callable[..., Path]) -> None:
    """A run of the method as it was before is not set beside one of today; after a run of today it is."""
    text = """
        def denoise(noisy, noise):
            return noisy * {factor}

        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec("scale", "1", "scaled", lambda options, device, weights: denoise)]
    """
    asked: dict[str, Any] = {
        "methods": ["scale"], "noise": "gaussian:25", "dataset": "sk12", "images": ["01"], "metrics": ["psnr"],
        "timing": False, "jobs": 1, "plugins": [plugin(text.format(factor=0.5))],
    }  # fmt: skip
    api.run(**asked, noise_info="withheld", out="withheld")
    plugin(text.format(factor=0.9))
    today = api.run(**asked, out="today")
    assert grids.by_noise_info(today) is None
    api.run(**asked, noise_info="withheld", out="withheld-today")
    known = grids.by_noise_info(today)
    assert known is not None
    assert known.runs == {"known": "today", "withheld": "withheld-today"}


def test_terminal_and_markdown_show_grids(told: dict[str, Results], cli: Any) -> None:
    """A run with more than three noises prints grids; its Markdown has them before the tables."""
    text = (told["withheld"].folder / "table.md").read_text(encoding="utf-8")
    assert text.index("## PSNR dB ↑") < text.index("## Noise information") < text.index("## gaussian:sigma=10")
    cwd: Path = told["known"].folder.parents[2]
    done = cli(
        "run", "--methods", "median,tv", "--dataset", "sk12", "--images", "01", "--metrics", "psnr", "--no-timing",
        *(word for noise in NOISES for word in ("--noise", noise)), "--out", "known", cwd=cwd,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "* best under its noise" in done.stdout
    assert "Noise information" in done.stdout

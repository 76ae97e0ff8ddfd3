"""Comparisons of runs: which pairs, on which images, how they are counted, and what the command shows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_records import PROVENANCE, run_facts
from scipy import stats

from mdnbench import api
from mdnbench.analysis import statistics
from mdnbench.analysis.statistics import paired
from mdnbench.analysis.statistics.comparison import Mean
from mdnbench.errors import NothingToDo, UnknownName, UsageError
from mdnbench.results import Results
from mdnbench.results.table import Column
from mdnbench.store import open_store, score_array
from mdnbench.store.facts import MetricFacts
from mdnbench.util import jsonfile

RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A run of three methods on seven images with two seeds each."""
    return seven(tmp_path_factory.mktemp("seeded") / ".mdnbench", "seeded", ["psnr", "ssim"])


def seven(workspace: Path, name: str, metrics: list[str]) -> Results:
    """A run under this name; what another one of the workspace computed is not computed again."""
    return api.run(
        methods=["noisy", "median", "wavelet"], noise="gaussian:25", dataset="sk12", seeds=2, metrics=metrics,
        images=["01", "02", "03", "04", "05", "06", "07"], timing=False, jobs=1, out=name, workspace_folder=workspace,
    )  # fmt: skip


def test_a_comparison_pairs_the_same_noisy_images(seeded: Results) -> None:
    """Means are the table's; differences, wins and p follow from the cells as pandas has them."""
    family = api.compare(seeded, metrics=["psnr"]).families[0]
    assert [mean.method for mean in family.means] == list(seeded.tables[0].names)
    assert [mean.mean for mean in family.means] == pytest.approx(
        [cell.value for cell in seeded.tables[0].column("psnr").values()]
    )
    cells = seeded.cells.pivot_table(index=["image", "seed"], columns="method", values="psnr")
    for pair in family.pairs:
        difference = cells[pair.first] - cells[pair.second]
        assert pair.difference == pytest.approx(difference.mean())
        assert (pair.wins, pair.losses) == ((difference > 0.005).sum(), (difference < -0.005).sum())
        by_image = difference.groupby("image").mean().to_numpy()
        assert pair.p == pytest.approx(stats.wilcoxon(by_image).pvalue)
        assert pair.low is not None
        assert pair.high is not None
        assert pair.low < pair.difference < pair.high
        assert (pair.images, pair.cells) == (7, 14)
        assert family.record(pair.second, pair.first) == f"{pair.losses}/{pair.ties}/{pair.wins}"


BROKEN = """
def denoise(noisy, noise):
    raise RuntimeError("always")

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("broken", "1", "broken", lambda options, device, weights: denoise)]
"""


def test_no_method_is_passed_over(plugin: Callable[..., Path], workspace: Path) -> None:
    """One that is perfect everywhere stands first and wins; one that failed everywhere is named, and is no pair."""
    found = api.run(
        methods=["median", "noisy", "broken"], noise="gaussian:0", dataset="sk12", images=["01", "02"],
        metrics=["psnr"], timing=False, jobs=1, plugins=[plugin(BROKEN)],
    )  # fmt: skip
    (family,) = api.compare(found).families
    assert [mean.method for mean in family.means] == ["noisy", "median"]
    assert math.isinf(family.means[0].mean)
    assert (family.means[0].cells, family.means[0].infinite) == (0, 2)
    assert family.record("noisy", "median") == "2/0/0"
    assert family.missing == ("broken",)
    assert statistics.sentences(family)[0] == "broken has no score here."
    assert "∞" in api.compare(found)._repr_html_()
    with pytest.raises(NothingToDo, match="broken and the others have no score under the same noise"):
        api.compare(found, against="broken")


COPY = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    copy = lambda noisy, noise: noisy.clone()
    return [mdnbench.DenoiserSpec("copy", "1", "a copy", lambda options, device, weights: copy)]
"""


def test_two_perfect_methods_tie(plugin: Callable[..., Path], workspace: Path) -> None:
    """Where both are infinite neither wins nor loses, the tie is counted, and no mean difference comes of it."""
    found = api.run(
        methods=["copy", "noisy", "median"], noise="gaussian:0", dataset="sk12", images=["01", "02"],
        metrics=["psnr"], timing=False, jobs=1, plugins=[plugin(COPY)],
    )  # fmt: skip
    (family,) = api.compare(found).families
    assert family.record("copy", "noisy") == "0/2/0"
    assert family.record("copy", "median") == "2/0/0"
    (pair,) = [pair for pair in family.pairs if {pair.first, pair.second} == {"copy", "noisy"}]
    assert (math.isnan(pair.difference), pair.images, pair.cells) == (True, 0, 0)


def test_against_one_method_fewer_pairs_are_corrected(seeded: Results) -> None:
    """`against` keeps the pairs with one method, and Holm corrects for those alone."""
    every = api.compare(seeded, metrics=["psnr"]).families[0]
    some = api.compare(seeded, metrics=["psnr"], against="noisy").families[0]
    assert len(every.pairs) == 3
    assert {"noisy" in (pair.first, pair.second) for pair in some.pairs} == {True}
    assert len(some.pairs) == 2
    for name, chosen in (("method", {"against": "nosy"}), ("metric", {"metrics": ["lpips"]})):
        with pytest.raises(UnknownName, match=f"no {name}"):
            api.compare(seeded, **chosen)  # type: ignore[arg-type]


def test_a_test_and_an_interval_that_disagree_are_explained() -> None:
    """Eleven images a little better and one much worse: significant by ranks, though the mean's interval holds 0."""
    difference = np.array([[0.1 + 0.01 * index] for index in range(11)] + [[-3.0]])
    pair = paired.compare([("one", "two")], [difference], sign=1, tie=0.005)[0]
    assert pair.significant
    assert pair.difference < 0
    means = tuple(Mean(name, 30.0, 29.0, 31.0, 12, 12, 0) for name in ("one", "two"))
    family = statistics.Family("gaussian:sigma=50", Column("psnr", "higher", "dB", 2), 12, 1, means, (pair,))
    assert any(text.startswith("Significant, though the interval of the mean holds 0: 1 of 1.")
               for text in statistics.sentences(family))  # fmt: skip


def test_a_method_with_fewer_images_comes_last_and_is_named(plugin: Callable[..., Path]) -> None:
    """It works on the easy image alone, so that its mean is the highest and no better."""
    path = plugin(
        """
        def denoise(noisy, noise):
            if float(noisy.std()) > 0.2:
                raise ValueError("too hard")
            return noisy.clone()
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec("easy", "1", "easy", lambda options, device, weights: denoise)]
        """
    )
    images = ["01", "02", "03", "04", "05", "06"]
    found = api.run(
        methods="easy,noisy", sigma=5, dataset="sk12", images=images, metrics="psnr", timing=False, jobs=1,
        plugins=[path],
    )  # fmt: skip
    (family,) = api.compare(found).families
    easy = family.means[-1]
    assert (easy.method, family.images) == ("easy", 6)
    assert 0 < easy.images < 6
    said = f"easy has a finite score on {easy.images} of 6 images: its mean, and the differences to it, are over these"
    assert any(sentence.startswith(said) for sentence in statistics.sentences(family))


def test_few_images_are_called_few(seeded: Results, finished: Results) -> None:
    """Seven images are few and say what they could show; two can show nothing at all; one has no interval."""
    said = " ".join(statistics.sentences(api.compare(seeded, metrics=["psnr"]).families[0]))
    assert "7 images are few" in said
    assert "about 86 % hold the true mean, not 95" in said
    assert "each with 2 seeds" in said
    assert "four times out of five" in said
    said = " ".join(statistics.sentences(api.compare(finished).families[0]))
    assert "no difference, however large, can be significant: p is never below 0.5" in said


def test_runs_are_compared_under_their_names_and_unlike_ones_refused(seeded: Results, finished: Results) -> None:
    """Methods of several runs bear the run's name; other images are refused with what differs, and a run twice."""
    again = seven(seeded.store.path.parent, "again", ["psnr"])
    family = api.compare(seeded, again, metrics=["psnr"]).families[0]
    methods = ("noisy", "median", "wavelet")
    assert {mean.method for mean in family.means} == {f"{m} @ {name}" for m in methods for name in ("seeded", "again")}
    with pytest.raises(UsageError, match="run 'seeded' was given twice"):
        api.compare(seeded, again, seeded)
    with pytest.raises(UsageError, match="data set digest"):
        api.compare(seeded, finished)


def test_runs_are_compared_by_what_they_share(workspace: Path) -> None:
    """Only metrics that all runs have; one that was asked for and is not everywhere is refused, and none is nothing."""
    asked: dict[str, Any] = {
        "methods": ["noisy", "median"], "noise": "gaussian:25", "dataset": "sk12", "images": ["01", "02"],
        "timing": False, "jobs": 1,
    }  # fmt: skip
    both = api.run(**asked, metrics=["psnr", "ssim"], out="both")
    psnr, ssim = (api.run(**asked, metrics=[name], out=name) for name in ("psnr", "ssim"))
    for runs in ((both, psnr), (psnr, both)):
        assert [family.column.name for family in api.compare(*runs).families] == ["psnr"]
        with pytest.raises(UsageError, match="no metric in run 'psnr' is named 'ssim'"):
            api.compare(*runs, metrics=["ssim"])
    with pytest.raises(NothingToDo, match="no metric that these runs have in common"):
        api.compare(psnr, ssim)


def test_infinite_scores_are_wins_and_in_no_mean() -> None:
    """A cell that one method reproduces perfectly is its win; the mean difference is over the finite cells."""
    difference = np.array([[np.inf, 1.0], [2.0, np.nan], [3.0, -np.inf]])
    pair = paired.compare([("one", "two")], [difference], sign=1, tie=0.005)[0]
    assert (pair.wins, pair.ties, pair.losses) == (4, 0, 1)
    assert (pair.difference, pair.images, pair.cells) == (2.0, 3, 3)


def test_a_method_that_is_perfect_under_one_noise() -> None:
    """Without noise the noisy image is perfect: it wins there, by no finite difference and without a test."""
    found = api.run(
        methods=["noisy", "median"], noise=["salt-pepper:0", "gaussian:25"], dataset="sk12", images=["01", "02"],
        metrics=["psnr"], timing=False, jobs=1, out="clean",
    )  # fmt: skip
    clean, noisy = api.compare(found).families
    assert [(mean.method, mean.mean == math.inf) for mean in clean.means] == [("noisy", True), ("median", False)]
    (pair,) = clean.pairs
    assert (pair.record, pair.p, pair.images) == ("2/0/0", None, 0)
    said = statistics.sentences(clean)
    assert "Not tested, for lack of two images with finite scores: 1 of 1 differences." in said
    assert not any("ignificant" in sentence for sentence in said)
    assert [row[-1].text for row in statistics.tables_of(clean)[0].rows] == ["2", "2"]
    assert math.isnan(pair.difference)
    assert len(noisy.pairs) == 1


def test_the_command_shows_tables_and_data(seeded: Results, cli: Any) -> None:
    """`mdnbench compare` prints means, records and pairs; `--json` the same as data."""
    done = cli("compare", seeded.folder, "--metrics", "psnr", "--against", "median")
    assert done.returncode == 0, done.stderr
    assert "gaussian:sigma=25 · PSNR dB ↑" in done.stdout
    assert "Wins/ties/losses" in done.stdout
    found = json.loads(cli("compare", seeded.folder, "--json").stdout)
    assert [family["column"]["metric"] for family in found["families"]] == ["psnr", "ssim"]
    assert {"p_holm", "detectable", "low"} <= set(found["families"][0]["pairs"][0])


# -- size ------------------------------------------------------------------------------------------------------------


def big_store(path: Path, methods: int, noises: int, images: int, seeds: int) -> Results:
    """A store with three scores for each of so many cells, written straight into SQLite."""
    facts = run_facts(
        [f"m{index}" for index in range(methods)], ["psnr", "ssim", "lpips"], dataset="big", scoring_rule="r",
        images={f"i{index}": "x" for index in range(images)}, seeds=seeds,
        noises={f"gaussian:sigma={index}": "1" for index in range(noises)},
        metric_facts={
            "psnr": MetricFacts("higher", "dB", 2, 0.0, {}), "ssim": MetricFacts("higher", "", 4, 0.0, {}),
            "lpips": MetricFacts("lower", "", 3, 0.0, {}),
        },
    )  # fmt: skip
    store = open_store(path / "results.sqlite")
    run = store.start_run("big", methods * noises * images * seeds, facts)
    store.connection.execute("INSERT INTO provenances VALUES (1, ?)", (jsonfile.text_of(PROVENANCE),))
    places = [
        (noise, method, image, seed)
        for noise in range(noises)
        for method in range(methods)
        for image in range(images)
        for seed in range(seeds)
    ]
    hardness, chance = RNG.normal(0, 3, images), RNG.normal(0, 0.3, len(places))
    values = [30 - n + hardness[i] + 0.05 * m + chance[at] for at, (n, m, i, _) in enumerate(places)]
    with store.transaction():
        store.connection.executemany(
            "INSERT INTO outputs VALUES (?,?,'c',?,'ok','','',0.1,'n','o',1,'t',NULL,'')",
            ((at, f"k{at}", f"m{m}") for at, (_, m, _, _) in enumerate(places)),
        )
        store.connection.executemany(
            "INSERT INTO run_cells VALUES (?,?,?,'big',?,'x',?,?,'known',?)",
            ((run, at, at, f"i{i}", f"gaussian:sigma={n}", s, f"m{m}") for at, (n, m, i, s) in enumerate(places)),
        )
        store.connection.executemany(
            "INSERT INTO scores VALUES (?,'r',?,'1','ok','',?)",
            ((at, name, float(value)) for at, value in enumerate(values) for name in facts.metrics),
        )
    return Results(store, "big", path)


def test_the_cube_holds_every_score_in_its_place(finished: Results) -> None:
    """Noises, methods, images and seeds are the axes, in the run's order, and the values those of the cells."""
    scores = score_array.read(finished.store, finished.run)
    assert scores.shape == (2, 2, 2, 1)
    for row in finished.rows():
        place = (scores.noises.index(row.noise), scores.methods.index(row.method), scores.images.index(row.image))
        assert scores.values["psnr"][(*place, row.seed)] == row.value("psnr")


def test_thirty_thousand_scores_are_compared_at_once(tmp_path: Path) -> None:
    """Ten methods on 50 images with 20 seeds: the order of the methods comes out, as does its certainty."""
    found = api.compare(big_store(tmp_path, 10, 1, 50, 20))
    best = found.families[0].means[0]
    assert best.method == "m9"
    assert best.cells == 1000
    clear = [pair for pair in found.families[0].pairs if abs(pair.difference) > 0.1]
    assert len(clear) > 30
    assert all(pair.significant for pair in clear)

"""Published and claimed numbers: files of them, what they are compared with, and the verdicts."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mdnbench import api
from mdnbench.analysis import published
from mdnbench.analysis.published import claims
from mdnbench.errors import BadFile, NothingToDo
from mdnbench.results import Results, references
from mdnbench.results.references import Reference
from mdnbench.results.table import Column

ROOT = Path(__file__).resolve().parents[3]
HEADER = "method,dataset,noise,sigma,image,metric,value,source\n"
PSNR = Column("psnr", "higher", "dB", 2)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """`file(lines)` writes a file of references."""

    def write(lines: str) -> Path:
        path = tmp_path / "more.csv"
        path.write_text(HEADER + lines, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A run over every image of sk12: means of the whole set may be compared."""
    folder = tmp_path_factory.mktemp("whole")
    return api.run(
        methods=["noisy", "median[size=3]"], noise="gaussian:50", dataset="sk12", metrics=["psnr"], timing=False,
        jobs=1, out="whole", workspace_folder=folder / ".mdnbench",
    )  # fmt: skip


def claim(value: float, measured: float | None) -> published.Claim:
    """A claim of 0.1 dB tolerance."""
    printed = Reference("x", "set12", "gaussian:sigma=50", "mean", "psnr", value, "a paper")
    return published.Claim(printed, "x", PSNR, measured, 0.1)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("bm3d,sk12,gaussian,50,mean,psnr,high,us", "line 3: value = 'high' is not a number"),
        ("bm3d,sk12,gaussian,50,mean,psnr,nan,us", "line 3: value = 'nan' is not a number"),
        ("bm3d,sk12,gaussian,-5,mean,psnr,20,us", "line 3: sigma = -5 must not be negative"),
        (",sk12,gaussian,50,mean,psnr,20,us", "line 3: method is empty"),
        ("bm3d,sk12,gaussian,50,mean,psnr,20,us,more", "line 3 has more fields than the header"),
        ("bm3d,sk12", "line 3: noise is empty"),
    ],
)
def test_a_mistake_in_a_file_names_its_line(file: Callable[[str], Path], line: str, words: str) -> None:
    """What cannot be used is refused with the line's number and the reason."""
    path = file(f"bm3d,sk12,gaussian,50,mean,psnr,20,us\n{line}\n")
    with pytest.raises(BadFile, match=words):
        references.read(path)


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    """Missing columns are named, and so is a file that is not there."""
    path = tmp_path / "wrong.csv"
    path.write_text("method,value\nbm3d,20\n", encoding="utf-8")
    with pytest.raises(BadFile, match="the columns dataset, noise, sigma, image, metric, source are missing"):
        references.read(path)
    with pytest.raises(BadFile, match="no file of references"):
        references.read(tmp_path / "none.csv")


def test_the_files_that_ship_can_be_read() -> None:
    """140 published numbers, and the nine that the article claims, each with its source."""
    shipped = references.published()
    assert len(shipped) == 140
    assert all(each.source for each in shipped)
    assert Reference(
        "BM3D", "set12", "gaussian:sigma=50", "mean", "psnr", 26.72,
        "Zhang et al., DnCNN (IEEE TIP 2017), Set12 table; SwinIR and DPIR repeat it",
    ) in shipped  # fmt: skip
    article = references.read(ROOT / "reports" / "references" / "article.csv")
    assert {each.metric for each in article} == {"psnr", "ssim", "lpips"}
    assert len(article) == 9


def test_a_noise_may_be_written_in_full(file: Callable[[str], Path]) -> None:
    """A name with sigma beside it, or the whole canonical text."""
    path = file('a,x,gaussian,25,mean,psnr,20,us\nb,x,"mixed:sigma=10,peak=60",,01,PSNR,20,us\n')
    assert [each.noise for each in references.read(path)] == ["gaussian:sigma=25", "mixed:sigma=10,peak=60"]
    assert references.read(path)[1].metric == "psnr"


@pytest.mark.parametrize(
    ("value", "measured", "finding"),
    [
        (26.72, 26.77, "reproduced"),
        (26.72, 26.82, "reproduced"),
        (26.72, 26.83, "above"),
        (26.72, 26.61, "below"),
        (26.72, None, "not measured"),
    ],
)
def test_up_to_a_tenth_of_a_decibel_is_reproduced(value: float, measured: float | None, finding: str) -> None:
    """Twice the metric's tolerance, either way."""
    assert claim(value, measured).finding == finding


def test_only_the_same_thing_is_compared(whole: Results, file: Callable[[str], Path]) -> None:
    """Another data set, noise, image, metric or method option is not; names are matched however they are written."""
    mean = next(row.means["psnr"] for row in whole.means if row.method == "noisy")
    path = file(
        f"noisy,sk12,gaussian,50,mean,psnr,{mean},us\n"
        f"NOISY,SK12,gaussian,50,03,psnr,10,us\n"
        "median[size=3],sk12,gaussian,50,mean,psnr,99,us\n"
        "median,sk12,gaussian,50,mean,psnr,99,us\n"
        "noisy,set12,gaussian,50,mean,psnr,10,us\n"
        "noisy,sk12,gaussian,25,mean,psnr,10,us\n"
        "noisy,sk12,gaussian,50,mean,ssim,0.1,us\n"
        "noisy,sk12,gaussian,50,99,psnr,10,us\n"
    )
    found = api.claims(whole, references=[path])
    assert [(each.method, each.reference.image, each.finding) for each in found.published] == [
        ("noisy", "mean", "reproduced"),
        ("noisy", "03", "above"),
        ("median[size=3]", "mean", "below"),
    ]


def test_the_mean_of_some_images_is_no_mean_of_the_data_set(finished: Results, file: Callable[[str], Path]) -> None:
    """A run over two images compares image by image alone, and says why."""
    path = file("noisy,sk12,gaussian,50,mean,psnr,14.7,us\nnoisy,sk12,gaussian,50,01,psnr,14.7,us\n")
    found = api.claims(finished, references=[path])
    assert [each.reference.image for each in found.published] == ["01"]
    assert "2 of 12 images" in found.notes[0]


def test_a_mean_that_leaves_perfect_images_out_is_no_mean_of_the_data_set(whole: Results) -> None:
    """It is over the harder images alone, and is not set beside a printed one."""
    rows = [dataclasses.replace(row, infinite={"psnr": 1} if row.method == "noisy" else {}) for row in whole.means]
    found: Any = SimpleNamespace(means=rows)
    assert {method for _, method, _, _ in claims._whole_means(found)} == {"median[size=3]"}


def test_nothing_compared_is_an_error(finished: Results, tmp_path: Path) -> None:
    """No number about the run, or another protocol than the published ones: exit code 5, with what to do."""
    with pytest.raises(NothingToDo, match="--references"):
        api.claims(finished)
    other = api.run(
        methods=["noisy"], noise="gaussian:50", dataset="sk12", images=["01"], metrics=["psnr"], timing=False, jobs=1,
        protocol="float", out="float",
    )  # fmt: skip
    with pytest.raises(NothingToDo, match="--protocol standard"):
        api.claims(other)


def test_the_command_shows_tables_and_data(whole: Results, file: Callable[[str], Path], cli: Any) -> None:
    """`mdnbench claims` prints the numbers with their sources and others beside them; `--json` the same as data."""
    path = file(
        "noisy,sk12,gaussian,50,mean,psnr,14.7,our report\nnoisy,sk12,gaussian,50,01,psnr,20,our report\n"
        'Best,sk12,gaussian,50,mean,psnr,30.5,"their \x1b[31m paper"\nBest,sk12,gaussian,50,01,psnr,31,theirs\n'
        "Best,sk12,gaussian,25,mean,psnr,33,theirs\n"
    )
    done = cli("claims", whole.folder, "--references", path)
    assert done.returncode == 0, done.stderr
    assert "also published (psnr), of methods that this run has not: Best 30.5 [2]" in done.stdout
    assert "[1] our report\n[2] their \\x1b[31m paper" in done.stdout
    assert "0 of 1 reproduced" in done.stdout
    every = cli("claims", whole.folder, "--references", path, "--images").stdout
    assert re.search(r"noisy +noisy +01 +PSNR +20.00 +14\.\d+ +−\S+ +below +\[1\]", every)
    found = json.loads(cli("claims", whole.folder, "--references", path, "--json").stdout)
    assert [each["finding"] for each in found["published"]] == ["reproduced", "below"]
    assert [(each["published_as"], each["published"]) for each in found["others"]] == [("Best", 30.5)]


def test_set12_meets_the_published_numbers() -> None:
    """The filters that need no training, on Set12: image by image next to BM3D's; the article has means alone."""
    from mdnbench import data, registry

    if data.verify(registry.load().datasets["set12"]):
        pytest.skip("Set12 is not at hand")
    found = api.run(
        methods=["bm3d"], noise="gaussian:50", dataset="set12", images=["01"], metrics=["psnr"], timing=False, jobs=1,
        out="one",
    )  # fmt: skip
    printed = api.claims(found, references=[ROOT / "reports" / "references" / "article.csv"])
    assert {(each.method, each.reference.method, each.reference.image) for each in printed.published} == {
        ("bm3d", "BM3D", "01")
    }

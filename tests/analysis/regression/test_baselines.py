"""Baselines: two files that say what was measured and on what; whatever is wrong with them is named."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from mdnbench import api
from mdnbench.analysis.regression import baselines
from mdnbench.errors import BadFile, MdnbenchError, UnknownName
from mdnbench.results import Results


@pytest.fixture
def stem(finished: Results, tmp_path: Path) -> Path:
    """A baseline that was written from the finished run."""
    return api.write_baseline(finished, tmp_path / "made" / "sk12-small")


def replace(path: Path, old: str, new: str) -> None:
    """Edit a file that holds `old`."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_baseline_comes_back_as_it_was_measured(finished: Results, stem: Path) -> None:
    """Every cell with its status and every digit of its values; facts that say what it was made of."""
    found = baselines.read(stem)
    rows = list(finished.rows())
    assert len(found.cells) == len(rows) == 8
    for row in rows:
        stored = found.cells[row.image, row.noise, row.seed, row.method]
        assert (stored.status, stored.noisy) == ("ok", row.noisy_digest)
        assert dict(zip(found.facts.metrics, stored.values, strict=True)) == {
            "psnr": row.value("psnr"), "ssim": row.value("ssim"),
        }  # fmt: skip
    facts = found.facts
    assert (facts.dataset, facts.protocol, facts.noise_info, facts.device) == ("sk12", "standard", "known", "cpu")
    assert facts.dataset_digest == finished.run.facts.dataset_digest
    assert set(facts.noises) == {"gaussian:sigma=50", "gaussian:sigma=25"}
    assert facts.metrics["psnr"].direction == "higher"
    assert facts.metrics["psnr"].tolerance > 0
    assert set(facts.methods) == {"noisy", "median"}
    assert "scikit-image" in facts.packages


def test_the_files_are_a_table_and_toml(stem: Path) -> None:
    """What is committed can be read and compared line by line: CSV with the designed columns first, and TOML."""
    assert {path.name for path in stem.parent.iterdir()} == {"sk12-small.csv", "sk12-small.toml"}
    with stem.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    assert ",".join(header).startswith("dataset,image,noise,seed,method,status,reason,psnr,ssim,seconds,")
    assert tomllib.loads(stem.with_suffix(".toml").read_text(encoding="utf-8"))["schema"] == baselines.SCHEMA


def test_a_table_that_a_spreadsheet_saved_is_the_same(stem: Path) -> None:
    """Some put a mark of the byte order before the first column's name."""
    before, path = baselines.read(stem), stem.with_suffix(".csv")
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert baselines.read(stem) == before


@pytest.mark.parametrize("ending", ["", ".toml", ".csv"])
def test_a_baseline_is_named_by_its_stem_or_either_file(stem: Path, ending: str) -> None:
    """All three name the same baseline."""
    assert baselines.read(stem.with_name(stem.name + ending)).path == stem


def test_a_stem_may_hold_dots(finished: Results, tmp_path: Path) -> None:
    """`v1.2` is a stem, not a file with an ending."""
    stem = api.write_baseline(finished, tmp_path / "v1.2")
    assert sorted(path.name for path in tmp_path.glob("v1*")) == ["v1.2.csv", "v1.2.toml"]
    assert baselines.read(tmp_path / "v1.2").path == stem


def test_writing_leaves_other_files_alone(finished: Results, tmp_path: Path) -> None:
    """A `cells.csv` that lies where the baseline is written, as in a run's own folder, is not taken away."""
    (tmp_path / "cells.csv").write_text("mine")
    api.write_baseline(finished, tmp_path / "base")
    assert (tmp_path / "cells.csv").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named(finished: Results, tmp_path: Path) -> None:
    """A file where a folder should be, or a disk that refuses, is a message with the path."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MdnbenchError, match="the baseline cannot be written to"):
        api.write_baseline(finished, tmp_path / "file" / "base")


@pytest.mark.parametrize("ending", [".toml", ".csv"])
def test_fault_27_a_missing_file_is_named(stem: Path, ending: str) -> None:
    """Either file alone is no baseline."""
    missing = stem.with_suffix(ending)
    missing.unlink()
    with pytest.raises(BadFile, match=r"there is no baseline file|is missing next to its \.toml") as error:
        baselines.read(stem)
    assert str(missing) in str(error.value)


def test_a_folder_is_no_baseline(tmp_path: Path) -> None:
    """A folder, or nothing at all, says what is wanted."""
    for path in (tmp_path, Path(), Path("/")):
        with pytest.raises(BadFile, match="baseline"):
            baselines.read(path)


def test_fault_27_a_newer_schema_is_refused(stem: Path) -> None:
    """A baseline of a later version says to upgrade, whatever else it holds."""
    replace(stem.with_suffix(".toml"), "schema = 1", 'schema = 2\nnovelty = "yes"')
    with pytest.raises(BadFile, match=r"has schema 2; this mdnbench reads 1\. Upgrade mdnbench, or remove"):
        baselines.read(stem)


def test_an_unknown_key_and_a_wrong_type_are_named(stem: Path) -> None:
    """A baseline that was edited by hand is held to its keys."""
    text = stem.with_suffix(".toml").read_text(encoding="utf-8")
    replace(stem.with_suffix(".toml"), "noise_info =", "noise_infos =")
    with pytest.raises(UnknownName, match=r"Did you mean 'noise_info'\?"):
        baselines.read(stem)
    stem.with_suffix(".toml").write_text(text.replace("digits = 2", 'digits = "two"'), encoding="utf-8")
    with pytest.raises(BadFile, match="must be a whole number"):
        baselines.read(stem)


@pytest.mark.parametrize(
    ("old", "new"),
    [("image,", "picture,"), (",0,noisy,ok", ",first,noisy,ok"), ("noisy,ok,,1", "noisy,ok,,good1")],
)
def test_a_table_that_is_none_is_named(stem: Path, old: str, new: str) -> None:
    """A column, a seed or a number that is not there is one message with the file."""
    replace(stem.with_suffix(".csv"), old, new)
    with pytest.raises(BadFile, match="cannot be read") as error:
        baselines.read(stem)
    assert str(stem.with_suffix(".csv")) in str(error.value)


@pytest.mark.parametrize(("text", "value"), [("", None), ("nan", None), ("inf", float("inf")), ("1e3", 1000.0)])
def test_values_are_read_as_they_are(stem: Path, text: str, value: Any) -> None:
    """An empty field is no value, and infinity is one."""
    with stem.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    lines[1][lines[0].index("psnr")] = text
    with stem.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
    first = next(iter(baselines.read(stem).cells.values()))
    assert first.values[0] == value


def test_names_with_quotes_come_back(workspace: Path, tmp_path: Path) -> None:
    """Images that differ in a quote before an equals sign are two cells, each under the name that it has."""
    names = ["=q", "'=q", "''=q", "'q"]
    (workspace / "odd").mkdir()
    for at, name in enumerate(names):
        pixels = np.full((32, 32), 40 * at, dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(workspace / "odd" / f"{name}.png")
    found = api.run(methods=["noisy"], sigma=50, dataset="odd", metrics=["psnr"], timing=False, jobs=1)
    stem = api.write_baseline(found, tmp_path / "odd")
    assert {image for image, *_ in baselines.read(stem).cells} == set(names)

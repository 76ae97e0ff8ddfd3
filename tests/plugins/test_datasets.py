"""The built-in data sets: their manifests, Set12 where it is at hand, and the twelve made from scikit-image."""

from __future__ import annotations

import csv
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mdnbench import data
from mdnbench.errors import BadFile, BadImage
from mdnbench.spec.specs import DatasetSpec
from mdnbench.util import digests
from mdnbench_datasets import manifest, mdnbench_datasets, sk12

SPECS = {spec.name: spec for spec in mdnbench_datasets()}
COUNTS = {"bsd400": 400, "bsd68": 68, "cbsd68": 68, "kodak24": 24, "mcmaster": 18, "set12": 12, "sk12": 12}


def at_hand(name: str) -> DatasetSpec:
    """The data set, or a skip where its files are not on this machine."""
    if not data.at_hand(SPECS[name]):
        pytest.skip(f"the files of {name} are not at hand; MDNBENCH_DATA_PATH names folders that hold them")
    return SPECS[name]


def test_every_manifest_is_a_data_set() -> None:
    """Each manifest parses, and its data set has the number of images that the field knows it by."""
    assert {name: len(spec.images) for name, spec in SPECS.items()} == COUNTS
    assert {path.stem for path in manifest.folder().glob("*.toml")} == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_every_data_set_says_where_it_is_from(name: str) -> None:
    """Summary, licence and citation are there, and every file is pinned by digest, size and commit."""
    spec = SPECS[name]
    assert spec.summary
    assert spec.licence
    assert spec.citation
    assert spec.split == ("train" if name == "bsd400" else "test")
    assert len(spec.files) == (0 if name == "sk12" else len(spec.images))
    for file in spec.files:
        assert len(file.sha256) == 64
        assert file.bytes > 1000
        (url,) = file.urls
        assert url.startswith("https://raw.githubusercontent.com/")
        assert len(url.split("/")[5]) == 40
        assert url.endswith("/" + file.name)


def test_images_stand_in_natural_order() -> None:
    """McMaster runs from 1 to 18, not 1, 10, 11."""
    assert SPECS["mcmaster"].images == tuple(str(number) for number in range(1, 19))
    assert SPECS["set12"].images == tuple(f"{number:02}" for number in range(1, 13))
    assert SPECS["kodak24"].images[:2] == ("kodim01", "kodim02")


@pytest.mark.parametrize("name", sorted(set(COUNTS) - {"sk12"}))
def test_modes_and_channels_agree(name: str) -> None:
    """The channels that a manifest announces are those of its files."""
    with (manifest.folder() / f"{name}.csv").open(newline="") as file:
        modes = {row["mode"] for row in csv.DictReader(file)}
    assert modes == {{1: "L", 3: "RGB"}[SPECS[name].channels]}


def test_bsd400_is_halves_of_train_and_test() -> None:
    """Each file is fetched from the folder it lies in."""
    folders = Counter(file.urls[0].split("/")[-2] for file in SPECS["bsd400"].files)
    assert folders == {"train": 200, "test": 200}


def test_training_and_test_files_share_nothing() -> None:
    """No photograph of CBSD68, by its number, is among the 400 for training."""
    assert not set(SPECS["cbsd68"].images) & set(SPECS["bsd400"].images)


def test_set12_loads_as_published() -> None:
    """Seven images of 256×256, then five of 512×512, gray, in [0, 1], every file verified."""
    spec = at_hand("set12")
    assert data.verify(spec) == []
    images = [spec.load(image) for image in spec.images]
    assert [image.shape for image in images] == [(256, 256)] * 7 + [(512, 512)] * 5
    for image in images:
        assert image.dtype == np.float32
        assert 0 <= image.min() < image.max() <= 1


def test_bsd400_loads_in_colour() -> None:
    """The training photographs are verified, colour, and 481×321 either way round."""
    spec = at_hand("bsd400")
    assert data.verify(spec) == []
    shapes = {spec.load(image).shape for image in spec.images[::40]}
    assert shapes <= {(321, 481, 3), (481, 321, 3)}


def test_sk12_needs_no_files_and_is_like_set12() -> None:
    """Twelve different gray 8-bit images of Set12's sizes, with the digests that are pinned."""
    spec = SPECS["sk12"]
    assert data.at_hand(spec)
    images = [spec.load(image) for image in spec.images]
    assert [image.shape for image in images] == [(256, 256)] * 7 + [(512, 512)] * 5
    assert len({digests.of_pixels(image) for image in images}) == 12
    for image in images:
        levels = image * np.float32(255)
        assert image.dtype == np.float32
        assert np.abs(levels - np.rint(levels)).max() < 1e-4
        assert image.std() > 0.02


def test_sk12_crops_do_not_overlap() -> None:
    """No pixel of a photograph is in two images."""
    crops = tomllib.loads((manifest.folder() / "sk12.toml").read_text(encoding="utf-8"))["images"]
    for index, one in enumerate(crops):
        for other in crops[index + 1 :]:
            apart = max(abs(one["left"] - other["left"]), abs(one["top"] - other["top"])) >= one["size"]
            assert one["file"] != other["file"] or apart


def test_sk12_refuses_other_pixels() -> None:
    """Where scikit-image ships another picture, the load says so and names the picture."""
    crop = sk12.Crop("01", "chelsea.png", 0, 0, 64, "CC0", "0" * 64)
    with pytest.raises(BadImage, match=r"chelsea\.png.*another picture"):
        sk12.load(crop)


def test_sk12_does_not_import_scikit_image() -> None:
    """The photographs are read as files: importing scikit-image would cost more than reading them."""
    code = """
import sys
from mdnbench_datasets import mdnbench_datasets
spec = next(spec for spec in mdnbench_datasets() if spec.name == "sk12")
assert not {"numpy", "PIL", "pooch", "torch"} & set(sys.modules), "the hook is to be light"
spec.load("01")
print("skimage" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_hook_is_cheap() -> None:
    """Reading all manifests takes about ten milliseconds; a third of a second is allowed on a busy machine."""
    code = """
import time
import mdnbench.spec.hookspecs
start = time.perf_counter()
from mdnbench_datasets import mdnbench_datasets
mdnbench_datasets()
print(time.perf_counter() - start)
"""
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(times) < 0.3


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ('name = "x"', "file,sha256,bytes,width,height,mode\n"),
        (None, "name,sha256\na.png,abc\n"),
        (None, "file,sha256,bytes,width,height,mode\na.png,abc,many,1,1,L\n"),
        (None, "file,sha256,bytes,width,height,mode\na.png\n"),
        (None, ""),
        (None, None),
    ],
)
def test_a_broken_manifest_is_named(tmp_path: Path, table: str | None, rows: str | None) -> None:
    """Missing keys, missing columns, bad rows and a missing table of files are each a BadFile."""
    whole = (manifest.folder() / "set12.toml").read_text(encoding="utf-8")
    (tmp_path / "toy.toml").write_text(table or whole, encoding="utf-8")
    if rows is not None:
        (tmp_path / "toy.csv").write_text(rows)
    with pytest.raises(BadFile, match="toy"):
        manifest.read(tmp_path / "toy.toml")


def test_fault_22_a_manifest_that_names_another_folder_is_refused(tmp_path: Path) -> None:
    """A row that climbs out of its folder is refused when its image is asked for, before anything is read."""
    whole = (manifest.folder() / "set12.toml").read_text(encoding="utf-8")
    (tmp_path / "toy.toml").write_text(whole, encoding="utf-8")
    (tmp_path / "toy.csv").write_text(
        f"file,sha256,bytes,width,height,mode\n../../evil.png,{'0' * 64},5,1,1,L\n", encoding="utf-8"
    )
    spec = manifest.read(tmp_path / "toy.toml")
    with pytest.raises(BadFile, match="refused"):
        spec.load(spec.images[0])

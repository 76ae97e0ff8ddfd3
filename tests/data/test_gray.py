"""Data sets turned gray, by name: pixels as rgb2gray gives them, names and keys that say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage

from mdnbench import api, registry
from mdnbench.data import files, folders, gray, images
from mdnbench.errors import DataMissing, UnknownName

PHOTOGRAPH = Path(skimage.__file__).parent / "data" / "coffee.png"
GRAY_ONLY = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    build = lambda options, device, weights: lambda noisy, noise: noisy.clone()
    return [mdnbench.DenoiserSpec("grayish", "1", "takes gray alone", build)]
"""


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder with a crop of a colour photograph, and the same crop in gray."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    crop = images.read_image(PHOTOGRAPH)[100:148, 200:256]
    images.write_png(folder / "colour.png", crop)
    images.write_png(folder / "plain.png", gray.rounded(crop))
    return folder


def test_gray_is_what_rgb2gray_gives() -> None:
    """MATLAB's weights, and whole levels of 8 bits again, as its rgb2gray gives for a file of 8 bits."""
    image = images.read_image(PHOTOGRAPH)
    turned = gray.rounded(image)
    levels = turned * np.float32(255)
    exact = (image.astype(np.float64) * 255) @ [0.298936021293775, 0.587043074451121, 0.114020904255103]
    assert turned.dtype == np.float32
    assert np.array_equal(levels, np.rint(levels))
    assert np.abs(levels - exact).max() <= 0.5001


def test_sixteen_bits_stay_sixteen_and_floats_stay_floats() -> None:
    """What is no whole number of 8 bits is not rounded to them."""
    image = images.read_image(PHOTOGRAPH)[:8, :8]
    deep = np.rint((image * 0.7 + 0.01) * 65535).astype(np.float32) / np.float32(65535)
    levels = gray.rounded(deep) * np.float64(65535)
    assert np.abs(levels - np.rint(levels)).max() < 0.01
    assert np.abs(levels / 257 - np.rint(levels / 257)).max() > 0.1
    free = (image * np.float32(0.333)).astype(np.float32)
    assert np.array_equal(gray.rounded(free), images.to_gray(free))


@pytest.mark.parametrize("name", ["cbsd68", "kodak24", "mcmaster"])
def test_every_colour_set_has_a_gray_one(name: str, no_data: None) -> None:
    """It is found by name, needs the same files, and says in its summary what was done."""
    known = registry.load().datasets
    colour, turned = known[name], known[f"{name}[gray]"]
    assert (colour.channels, turned.channels) == (3, 1)
    assert turned.name == f"{name}[gray]"
    assert "BT.601" in turned.summary
    assert (turned.images, turned.files, turned.licence) == (colour.images, colour.files, colour.licence)
    assert files.folder_of(turned) == files.folder_of(colour) == f"datasets/{name}"
    with pytest.raises(DataMissing, match=f"mdnbench data fetch {name}`"):
        api.plan(methods="noisy", sigma=50, dataset=name, gray=True)


def test_a_gray_set_stays_what_it_is() -> None:
    """Turned gray, sk12 is sk12: same name, same cells, no note."""
    known = registry.load().datasets
    assert known["sk12[gray]"] is known["sk12"]
    plain, turned = (
        api.plan(methods="noisy", sigma=50, dataset="sk12", images="01", metrics="psnr", gray=each)
        for each in (False, True)
    )
    assert (plain.dataset.name, plain.dataset_digest, plain.notes) == (
        turned.dataset.name, turned.dataset_digest, turned.notes,
    )  # fmt: skip
    assert "sk12[gray]" not in list(known)


def test_a_name_with_another_ending_is_unknown() -> None:
    """Only gray is known, and an unknown set is guessed without the ending."""
    known = registry.load().datasets
    assert "kodak24[grey]" not in known
    with pytest.raises(UnknownName, match="Did you mean 'kodak24'"):
        known["kodac24[gray]"]
    assert known.get("nothing[gray]") is None


def test_a_folder_is_turned_gray_by_flag_and_by_name(photographs: Path) -> None:
    """Both ways are the same cells under the same name; they differ from the cells in colour, and gray ones do not."""
    keys: dict[str, Any] = {"methods": "noisy", "sigma": 50, "metrics": "psnr"}
    plain = api.plan(dataset=str(photographs), **keys)
    flag = api.plan(dataset=str(photographs), gray=True, **keys)
    name = api.plan(dataset=f"{photographs}[gray]", **keys)
    assert (plain.dataset.name, flag.dataset.name) == ("photographs", "photographs[gray]")
    assert flag.dataset_digest == name.dataset_digest != plain.dataset_digest
    assert flag.name == name.name == "photographs-gray-gaussian-50-noisy-psnr"
    assert any("photographs[gray] are turned gray by ITU-R BT.601" in note for note in flag.notes)
    digests = {image.id: image.digest for image in flag.images}
    assert digests["colour"] == digests["plain"]
    assert {image.id: image.digest for image in plain.images}["plain"] == digests["plain"]


@pytest.mark.parametrize("text", [".", "./photographs/..", "photographs/"])
def test_a_folder_is_found_again_from_anywhere(photographs: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker and a report look a folder up by its full path, however it was named."""
    whole = folders.absolute(f"{text}[gray]")
    assert whole == f"{Path(text).resolve()}[gray]"
    if text == "photographs/":
        monkeypatch.chdir("/")
        found = folders.find(whole)
        assert found is not None
        assert found.name == "photographs[gray]"
        assert found.load("colour").ndim == 2


def test_a_folder_that_has_the_ending_in_its_own_name_is_itself(photographs: Path) -> None:
    """What lies on the disk comes first."""
    own = photographs.rename(photographs.with_name("mine[gray]"))
    found = folders.find(str(own))
    assert found is not None
    assert found.load("colour").ndim == 3


@pytest.mark.full
def test_methods_for_gray_alone_run_on_colour_turned_gray(
    photographs: Path, plugin: Callable[..., Path], cli: Callable[..., Any]
) -> None:
    """In colour such a method is skipped, and the reason names --gray; with it the same command has its cells."""
    path = plugin(GRAY_ONLY)
    said = ["run", "--plugin", path, "--methods", "grayish,median", "--sigma", 25, "--dataset", photographs]
    said += ["--images", "colour", "--metrics", "psnr", "--no-timing", "--jobs", 1]
    done = cli(*said)
    assert done.returncode == 4, done.stderr  # it was asked for by name
    assert "grayish takes gray images only" in done.stdout + done.stderr
    assert "--gray turns them gray" in done.stdout + done.stderr
    done = cli(*said, "--gray")
    assert done.returncode == 0, done.stderr
    assert "photographs[gray]" in done.stdout
    assert "ITU-R BT.601" in done.stdout
    assert "skipped" not in done.stdout + done.stderr
    csv = next(Path(".mdnbench/runs").glob("photographs-gray-*/cells.csv")).read_text()
    assert csv.splitlines()[1].startswith("photographs[gray],colour,gaussian:sigma=25,0,grayish,ok")


def test_kept_outputs_on_colour_turned_gray_are_scored_again(photographs: Path) -> None:
    """`rescore` finds the images of such a run again, in gray."""
    found = api.run(
        methods="median", sigma=25, dataset=str(photographs), gray=True, metrics="psnr", timing=False, jobs=1, out="g"
    )
    scored = api.rescore(found, ["float"], jobs=1)
    assert scored is not None
    assert found.run.facts.dataset_folder == f"{photographs}[gray]"

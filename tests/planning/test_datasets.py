"""Which data set a plan uses: named, standing in, or a folder of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mdnbench.errors import BadImage, DataMissing, UnknownName, UsageError


@pytest.mark.usefixtures("no_data")
def test_sk12_stands_in_for_set12_and_says_so(plan: Any) -> None:
    """With no data set named and Set12 not available, the run uses sk12 and notes it in one line."""
    planned = plan(dataset=None, images=None)
    assert planned.dataset.name == "sk12"
    (note,) = planned.notes
    assert "set12" in note
    assert "sk12" in note
    assert "\n" not in note
    assert planned.name.startswith("sk12-")


@pytest.mark.usefixtures("no_data")
def test_an_explicit_set12_that_cannot_be_had_is_an_error(plan: Any) -> None:
    """A data set that was named is never replaced; the message says where to put it and how to fetch it."""
    with pytest.raises(DataMissing, match=r"MDNBENCH_DATA_PATH.*mdnbench data fetch set12"):
        plan(dataset="set12")


def test_set12_is_used_where_it_is_at_hand(plan: Any) -> None:
    """With no data set named, Set12 it is."""
    try:
        planned = plan(dataset="set12", images=None)
    except DataMissing:
        pytest.skip("the files of set12 are not at hand; MDNBENCH_DATA_PATH names folders that hold them")
    assert planned.dataset_digest == plan(dataset=None, images=None).dataset_digest
    assert len(planned.images) == 12


def test_a_folder_is_a_data_set(tmp_path: Path, plan: Any, photograph: Any) -> None:
    """A folder of one's own, gray and colour mixed: methods for gray only are skipped with a reason."""
    folder = photograph(tmp_path / "My Photos", "b10.png", "b9.png")
    planned = plan(dataset=str(folder), images=None)
    assert planned.dataset.name == "my-photos"
    assert [image.id for image in planned.images] == ["b9", "b10"]
    photograph(folder, "colour.png", shape=(32, 40, 3))
    mixed = plan(dataset=str(folder), images=None, methods="all")
    for work in mixed.works:
        assert bool(work.skip) == (work.spec.channels == (1,))
        assert not work.skip or "not all gray" in work.skip


def test_a_folder_named_like_a_data_set_needs_a_path(tmp_path: Path, plan: Any, photograph: Any) -> None:
    """`sk12` is the data set, `./sk12` the folder."""
    photograph(tmp_path / "sk12", "own.png")
    assert plan(dataset="sk12").dataset.summary != plan(dataset="./sk12", images=None).dataset.summary
    assert [image.id for image in plan(dataset="./sk12", images=None).images] == ["own"]


def test_an_empty_folder_is_refused(tmp_path: Path, plan: Any) -> None:
    """A folder without images says what it should hold."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    with pytest.raises(UsageError, match=r"holds no images\. Put files that end in \.png"):
        plan(dataset=str(tmp_path / "empty"), images=None)


def test_a_training_set_is_no_test_set(plan: Any) -> None:
    """An unknown data set is guessed, and an image that it lacks is named."""
    with pytest.raises(UnknownName, match=r"Did you mean 'set12'\?"):
        plan(dataset="sett12")
    with pytest.raises(UnknownName, match="no image of data set 'sk12' is named '99'"):
        plan(images="99")


@pytest.mark.parametrize(
    ("shape", "changes", "fits"),
    [
        ((10, 40), {"metrics": "ssim"}, False),
        ((11, 40), {"metrics": "ssim"}, True),
        ((12, 40), {"metrics": "ssim", "protocol": "masked-paper"}, False),
        ((13, 40), {"metrics": "ssim", "protocol": "masked-paper"}, True),
        ((10, 40), {"metrics": "psnr"}, True),
    ],
)
def test_images_too_small_for_a_metric_are_refused_by_name(
    tmp_path: Path, shape: tuple[int, int], changes: dict[str, Any], fits: bool, plan: Any, photograph: Any
) -> None:
    """SSIM's window needs 11 pixels a side after the border is cut; the message names the image and its size."""
    folder = photograph(tmp_path / "small", "tiny.png", shape=shape)
    if fits:
        assert plan(dataset=str(folder), images=None, **changes).size == 1
        return
    with pytest.raises(BadImage, match=f"image 'tiny' is 40x{shape[0]}; ssim needs at least 11 pixels a side"):
        plan(dataset=str(folder), images=None, **changes)

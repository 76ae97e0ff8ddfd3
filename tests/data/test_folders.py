"""A person's own folder as a data set, whatever its files are called."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from mdnbench.data.folders import folder_dataset, natural_key
from mdnbench.errors import BadImage, UsageError

GRAY = np.arange(64, dtype=np.uint8).reshape(8, 8)
RGB = np.stack([GRAY, GRAY + 1, GRAY + 2], axis=-1)


def save(folder: Path, *names: str, pixels: np.ndarray = GRAY) -> None:
    """Write an image under each of the names, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with (folder / name).open("wb") as file:
            PIL.Image.fromarray(pixels).save(file, format="PNG")


def test_images_come_in_natural_order(tmp_path: Path) -> None:
    """Numbers in names count as numbers, and ids are the names without their endings."""
    save(tmp_path, "10.png", "9.png", "b2.tif", "B10.png", "b1.PNG")
    spec = folder_dataset(tmp_path)
    assert spec.images == ("9", "10", "b1", "b2", "B10")
    assert (spec.split, spec.channels, spec.files) == ("test", 1, ())
    for image in spec.images:
        assert np.array_equal(spec.load(image), GRAY.astype(np.float32) / 255)


def test_endings_are_kept_where_stems_clash(tmp_path: Path) -> None:
    """Two files with one stem keep their endings, and the others do not."""
    save(tmp_path, "a.png", "a.bmp", "b.png")
    assert folder_dataset(tmp_path).images == ("a.bmp", "a.png", "b")


def test_ids_differ_even_where_stems_look_like_file_names(tmp_path: Path) -> None:
    """A stem that equals another file's name does not hide an image."""
    save(tmp_path, "a.png", "a.bmp", "a.png.png")
    assert folder_dataset(tmp_path).images == ("a.bmp", "a.png", "a.png.png")


@pytest.mark.parametrize(("colours", "expected"), [([GRAY], 1), ([RGB], 3), ([GRAY, RGB], 0)])
def test_channels_are_those_of_the_files(tmp_path: Path, colours: list[np.ndarray], expected: int) -> None:
    """All gray is 1, all colour 3, and a mixture 0."""
    for index, pixels in enumerate(colours):
        save(tmp_path, f"{index}.png", f"again{index}.png", pixels=pixels)
    assert folder_dataset(tmp_path).channels == expected


def test_other_files_and_folders_are_left_out(tmp_path: Path) -> None:
    """Notes, hidden files and folders are no images."""
    save(tmp_path, "a.png", ".hidden.png")
    save(tmp_path / "inner.png", "b.png")
    (tmp_path / "notes.txt").write_text("notes")
    assert folder_dataset(tmp_path).images == ("a",)


def test_an_empty_folder_says_which_endings_are_allowed(tmp_path: Path) -> None:
    """The message names the folder and every ending."""
    with pytest.raises(UsageError, match=r"\.png, \.tif, \.tiff, \.jpg, \.jpeg, \.bmp"):
        folder_dataset(tmp_path)


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """A missing folder and a file in its place are named."""
    for path in (tmp_path / "none", tmp_path / "file"):
        (tmp_path / "file").write_text("a file")
        with pytest.raises(UsageError, match="cannot be read"):
            folder_dataset(path)


def test_an_image_that_cannot_be_scored_is_refused_at_once(tmp_path: Path) -> None:
    """A damaged header is found when the folder is listed, by name."""
    save(tmp_path, "a.png")
    (tmp_path / "b.png").write_bytes(b"not an image")
    with pytest.raises(BadImage, match=r"b\.png"):
        folder_dataset(tmp_path)


HOSTILE = [
    "a[b].png",
    "=cmd().png",
    "<script>.png",
    "CON.png",
    "x" * 251 + ".png",
    "line\nbreak.png",
    "ü☃.png",
    "-.png",
]


def test_fault_26_hostile_file_names_are_only_names(tmp_path: Path) -> None:
    """Ids are shown as they are, every image loads, and bytes that are not UTF-8 are written out."""
    save(tmp_path, *HOSTILE)
    raw = os.fsdecode(os.fsencode(tmp_path) + b"/raw\xff.png")
    save(tmp_path, Path(raw).name)
    spec = folder_dataset(tmp_path)
    assert set(spec.images) == {name.removesuffix(".png") for name in HOSTILE} | {"raw\\xff"}
    for image in spec.images:
        image.encode()  # every id can be stored as UTF-8
        assert spec.load(image).shape == (8, 8)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("My Photos (2024)", "my-photos-2024"), ("a[/b]", "b"), ("☃", "folder"), ("CON", "con"), ("x" * 200, "x" * 60)],
)
def test_the_name_is_a_slug_of_the_folders(tmp_path: Path, folder: str, name: str) -> None:
    """A data set's name is plain whatever the folder is called."""
    save(tmp_path / folder, "a.png")
    assert folder_dataset(tmp_path / folder).name == name


def test_natural_order_never_ties() -> None:
    """Names that differ only in case or in leading zeros still have one order."""
    names = ["a1", "A1", "a01", "a001", "1", "01", "", "a"]
    assert len({natural_key(name) for name in names}) == len(names)
    turned = names[::-1]
    assert sorted(names, key=natural_key) == sorted(turned, key=natural_key)

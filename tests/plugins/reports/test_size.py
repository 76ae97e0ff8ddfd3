"""How large a page gets: below its limit, whatever the run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import registry
from mdnbench.results import Results
from mdnbench_reports import (
    gallery,
    page,
    page_data,
    scenes,
    scores,
)


@pytest.fixture(scope="module")
def small(finished: Results) -> str:
    """The page of the finished run, held to half a MiB."""
    return page.render(finished, page.MEBIBYTE // 2)


def test_a_page_stays_below_its_size(small: str, whole: Any, take_apart: Any) -> None:
    """Below the limit, with the hardest image of each noise whole as long as it fits; with room, all are whole."""
    assert len(small.encode()) <= page.MEBIBYTE // 2
    assert all(scene["box"] is None for scene in whole.data["scenes"])
    scenes = take_apart(small).data["scenes"]
    for noise in (0, 1):
        flags = [scene["box"] is None for scene in scenes if scene["noise"] == noise]
        assert len(flags) == 2
        assert flags == sorted(flags, reverse=True)


@pytest.mark.parametrize("budget", [0, 5_000, 50_000, 300_000, 10**6])
def test_a_gallery_stays_below_its_budget(finished: Results, budget: int) -> None:
    """Whatever the budget, the pictures with their tags take less, and what is left out is counted."""
    found = scores.of(finished)
    listed = scenes.worst_first(finished, found, 100)
    pictures = gallery.fill(listed, scenes.SceneImages(finished), budget)
    assert sum(len(text) + gallery.TAG_BYTES for text in pictures.pictures) <= budget
    assert len(pictures.shown) + pictures.left_out == 4
    assert (len(pictures.shown) == 4) == (budget >= 50_000)


def test_cuts_lie_inside_and_have_their_size(small: str, take_apart: Any, decoded: Any) -> None:
    """A cut's box lies in the image, and its pictures are as large as the box."""
    found = take_apart(small)
    cut = [scene for scene in found.data["scenes"] if scene["box"]]
    assert cut
    for scene in cut:
        left, top, width, height = scene["box"]
        assert 0 <= left <= scene["size"][0] - width
        assert 0 <= top <= scene["size"][1] - height
        for number in scene["pictures"].values():
            assert decoded(found, number).shape == (height, width)


def test_rows_are_bounded_too(finished: Results) -> None:
    """A run of many cells shows the hardest rows, and at least one."""
    found = scores.of(finished)
    assert page_data.rows_shown(found, 60_000) == 2
    assert page_data.rows_shown(found, 5) == 1
    assert page_data.rows_shown(found, 0) == 1


@pytest.mark.full
def test_a_page_of_a_huge_run_stays_below_its_size_too(
    invent: Callable[..., Results], whole: Any, tmp_path: Path, nasty: Any, take_apart: Any
) -> None:
    """Where tables alone would be too large, lines are left out until the page fits, and it says how many."""
    pictures = {"one": registry.load().datasets["sk12"].load("01")[:48, :48].copy()}
    methods = [f"method-{number:02d}" for number in range(12)]
    noises = [f"gaussian:{sigma}" for sigma in range(1, 51)]

    def problem(image: str, method: str) -> tuple[str, str] | None:
        return ("failed", nasty.worse * 20) if method == methods[0] else None

    found = invent(tmp_path, pictures, methods, noises, problem=problem)
    limit = page.MEBIBYTE // 4
    text = page.render(found, limit)
    assert len(text.encode()) <= limit
    words = " ".join("".join(take_apart(text).words).split())
    assert re.search(r"[1-9]\d* lines of its tables are left out", words)
    assert "lines of its tables are left out" not in "".join(whole.words)
    assert "The 3300 pairs of methods and noises are too many to be tested" in words


def test_large_images_are_cut_where_smaller_ones_after_them_are_whole(
    invent: Callable[..., Results], tmp_path: Path
) -> None:
    """The hardest image is cut when it does not fit whole, the next is whole when it does, and their order stays."""
    load = registry.load().datasets["sk12"].load
    pictures = {"small": load("01")[:64, :64].copy(), "large": load("11")}
    found = invent(tmp_path, pictures, ["one", "other"], ["gaussian:50"])
    each = scores.of(found)
    shown = gallery.fill(scenes.worst_first(found, each, 9), scenes.SceneImages(found), 200_000).shown
    assert [scene.case for scene in shown] == each.worst_first(0)
    assert {scene.size: scene.box is None for scene in shown} == {(512, 512): False, (64, 64): True}

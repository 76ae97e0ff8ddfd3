"""Resuming: what is stored is never computed again, a killed run goes on, and no digit depends on how it was run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from mdnbench import api
from mdnbench.results import Results
from mdnbench.spec.records import Tally
from mdnbench.util.listener import Listener

# Draws from every global generator, while it is built and while it runs: only clean seeds make its digits repeat.
DICE = """
import random, time
import mdnbench

def build(options, device, weights):
    import numpy, torch
    start = float(torch.rand(1)) + random.random() + float(numpy.random.rand())

    def denoise(noisy, noise):
        time.sleep(0.05)
        luck = float(torch.rand(1)) + random.random() + float(numpy.random.rand())
        return noisy * 0.9 + 0.01 * start + 0.01 * luck

    return denoise

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec(name, "1", name, build) for name in ("dice", "more-dice")]
"""
MOODS = """
import os
from pathlib import Path
import mdnbench

def ending(file, result):
    def call(*given):
        if Path(file).exists():
            os._exit(3)
        return result(*given)
    return call

@mdnbench.hookimpl
def mdnbench_denoisers():
    denoise = ending("bad-method", lambda noisy, noise: noisy.clone())
    return [mdnbench.DenoiserSpec("moody", "1", "moody", lambda options, device, weights: denoise, channels=(1,))]

@mdnbench.hookimpl
def mdnbench_metrics():
    score = ending("bad-score", lambda denoised, clean: 1.0)
    return [mdnbench.MetricSpec("moody-score", "1", "moody", "higher", lambda device: score, by_name=True)]
"""
OTHER_EACH_TIME = """
from pathlib import Path
import mdnbench

def denoise(noisy, noise):
    calls = Path("calls")
    calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
    return noisy * (1 - 0.1 * len(calls.read_text()))

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("other", "1", "other", lambda options, device, weights: denoise)]
"""
DIGITS = ("image", "noise", "seed", "method", "status", "psnr", "ssim", "noisy_digest", "output_digest")


@pytest.fixture
def dice(workspace: Path) -> str:
    """The plugin above."""
    (workspace / "dice.py").write_text(DICE, encoding="utf-8")
    return "dice.py"


def run(folder: str, plugin: str, **changes: Any) -> Results:
    """A small run in a workspace of this name."""
    keys: dict[str, Any] = {
        "methods": ["dice", "more-dice", "median"], "sigma": [25, 50], "dataset": "sk12", "images": ["01", "02", "04"],
        "metrics": ["psnr", "ssim"], "timing": False, "jobs": 1, "plugins": [plugin],
    }  # fmt: skip
    return api.run(workspace_folder=Path(folder), **keys | changes)


def digits(results: Results) -> list[tuple[Any, ...]]:
    """All that must be equal to the last digit, in an order that does not depend on the plan."""
    return sorted(tuple(record.get(name) for name in DIGITS) for record in results.records())


def tally(results: Results) -> Tally:
    """What the run computed."""
    assert results.tally is not None
    return results.tally


def test_jobs_and_order_change_no_digit(dice: str) -> None:
    """One worker or two, methods, levels and images in any order: equal to the last digit, random methods included."""
    first = run("a", dice)
    second = run(
        "b", dice, jobs=2, methods=["median", "more-dice", "dice"], sigma=[50, 25], images=["04", "02", "01"]
    )  # fmt: skip
    assert first.counts == {"ok": 18}
    assert digits(first) == digits(second)
    assert len({record["output_digest"] for record in first.records()}) == 18 - 6  # `dice` and `more-dice` are alike


def test_the_same_command_again_computes_nothing(dice: str) -> None:
    """All comes from the store; one cell more computes that cell alone; --fresh computes all, to the same digits."""
    keys: dict[str, Any] = {"sigma": 50, "images": ["01", "02"], "methods": ["dice", "noisy"]}
    first = run("w", dice, **keys)
    assert tally(first).computed == 4
    again = run("w", dice, **keys)
    assert (tally(again).computed, tally(again).cached) == (0, 4)
    assert digits(again) == digits(first)
    more = run("w", dice, **keys | {"images": ["01", "02", "04"], "methods": ["noisy"]})
    assert (tally(more).computed, tally(more).cached) == (1, 2)
    fresh = run("w", dice, fresh=True, **keys)
    assert (tally(fresh).computed, tally(fresh).cached) == (4, 0)
    assert digits(fresh) == digits(first)


def test_a_new_metric_is_scored_from_kept_images(dice: str) -> None:
    """An output whose image is kept is only scored; without kept images it is computed again, to the same digits."""
    keys: dict[str, Any] = {"sigma": 50, "images": ["01"], "methods": ["dice"]}
    for keep, images in (("first-seed", 1), ("none", 0)):
        first = run(keep, dice, **keys, metrics=["psnr"], keep_images=keep)
        assert len(list((Path(keep) / "images").rglob("*.npy"))) == images
        seconds = [record["seconds"] for record in first.records()]
        both = run(keep, dice, **keys, metrics=["psnr", "ssim"], keep_images=keep)
        (record,) = both.records()
        assert record["ssim"] > 0.05
        assert record["psnr"] == next(iter(first.records()))["psnr"]
        assert ([record["seconds"]] == seconds) == (keep == "first-seed")
        assert (tally(both).rescored, tally(both).computed, tally(both).done) == (images, 1 - images, 1)


def test_an_altered_image_is_not_scored(dice: str) -> None:
    """A kept image whose pixels were changed is computed again for a new metric: its score is the true one."""
    keys: dict[str, Any] = {"sigma": 50, "images": ["01"], "methods": ["noisy"]}
    run("w", dice, **keys, metrics=["psnr"])
    (path,) = (Path("w") / "images").rglob("*.npy")
    content = path.read_bytes()
    path.write_bytes(content[:-4000] + bytes(4000))
    again = run("w", dice, **keys, metrics=["psnr", "ssim"])
    assert (tally(again).rescored, tally(again).computed) == (0, 1)
    (record,) = again.records()
    (true,) = run("fresh", dice, **keys, metrics=["psnr", "ssim"]).records()
    assert (record["psnr"], record["ssim"]) == (true["psnr"], true["ssim"])


@pytest.fixture
def moods(workspace: Path) -> str:
    """A method for gray images and a metric, each of which ends its worker once a file says so."""
    (workspace / "moods.py").write_text(MOODS, encoding="utf-8")
    return "moods.py"


def reopened(folder: str, out: str) -> Results:
    """A finished run as the store shows it now."""
    return api.open_run(out, workspace_folder=Path(folder))


@pytest.mark.parametrize(("keep", "fault"), [("all", "bad-score"), ("none", "bad-score"), ("none", "bad-method")])
def test_a_failed_attempt_takes_nothing_from_a_finished_run(moods: str, keep: str, fault: str) -> None:
    """What a new metric ends in is that metric's alone: the output and its values stay as they were for every run."""
    keys: dict[str, Any] = {"methods": ["moody"], "sigma": 50, "images": ["01"], "keep_images": keep}
    first = digits(run("w", moods, **keys, out="first"))
    Path(fault).touch()
    second = run("w", moods, **keys, metrics=["psnr", "moody-score"], out="second")
    assert second.counts == {"ok": 1}
    (row,) = second.rows()
    assert row.value("psnr") == first[0][5]
    assert (row.scores["moody-score"].status, row.scores["moody-score"].value) == ("crashed", None)
    assert "exit code 3" in row.scores["moody-score"].reason
    assert digits(reopened("w", "first")) == first
    Path(fault).unlink()
    third = run("w", moods, **keys, metrics=["psnr", "moody-score"], out="second")
    assert [row.value("moody-score") for row in third.rows()] == [1.0]


def test_a_failure_is_recorded_where_all_is_fresh(moods: str) -> None:
    """`--fresh` asks what the code does now: a stored output does not hide that it fails."""
    keys: dict[str, Any] = {"methods": ["moody"], "sigma": 50, "images": ["01"]}
    run("w", moods, **keys)
    Path("bad-method").touch()
    assert run("w", moods, **keys, fresh=True).counts == {"ok": 0, "crashed": 1}


def test_a_skipped_method_takes_nothing_from_a_finished_run(moods: str, workspace: Path) -> None:
    """A colour image beside the gray one skips the method: the gray one's output is still there, in both runs."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    (workspace / "photos").mkdir()
    PIL.Image.fromarray(pixels[..., 0]).save(workspace / "photos" / "a.png")
    keys: dict[str, Any] = {"methods": ["moody"], "sigma": 50, "dataset": "photos", "images": [], "metrics": ["psnr"]}
    first = digits(run("w", moods, **keys, out="first"))
    PIL.Image.fromarray(pixels).save(workspace / "photos" / "b.png")
    second = run("w", moods, **keys | {"metrics": ["psnr", "ssim"]}, out="second")
    gray, colour = second.rows()
    assert (gray.status, gray.value("psnr")) == ("ok", first[0][5])
    assert gray.scores["ssim"].status == colour.status == "skipped"
    assert "gray images only" in colour.reason == gray.scores["ssim"].reason
    assert tally(second).skipped == 2
    assert digits(reopened("w", "first")) == first


def test_new_pixels_in_place_of_an_altered_image_are_stored_as_such(workspace: Path) -> None:
    """A method that comes out differently when an altered image is made again: digest and scores are of one image."""
    (workspace / "other.py").write_text(OTHER_EACH_TIME, encoding="utf-8")
    keys: dict[str, Any] = {"methods": ["other"], "sigma": 50, "images": ["01"], "keep_images": "all"}
    (before,) = run("w", "other.py", **keys, metrics=["psnr"]).rows()
    (path,) = (Path("w") / "images").rglob("*.npy")
    path.write_bytes(path.read_bytes()[:-4000] + bytes(4000))
    (after,) = run("w", "other.py", **keys, metrics=["psnr", "ssim"]).rows()
    assert after.output_digest != before.output_digest
    assert after.value("ssim") is not None
    assert after.value("psnr") is None
    (whole,) = run("w", "other.py", **keys, metrics=["psnr", "ssim"]).rows()
    assert whole.output_digest == after.output_digest
    assert whole.value("psnr") not in (None, before.value("psnr"))


def test_a_run_that_takes_anothers_place_says_so() -> None:
    """The same `--out` for other methods is announced, with what is unlike; for the same run it is not."""

    class Notes(Listener):
        def __init__(self) -> None:
            self.texts: list[str] = []

        def note(self, text: str) -> None:
            self.texts.append(text)

    keys: dict[str, Any] = {"noise": "gaussian:50", "dataset": "sk12", "metrics": ["psnr"], "out": "same"}
    for methods, images, unlike in (
        (["noisy"], ["01"], None),
        (["noisy"], ["01"], None),
        (["median"], ["01", "02"], "images, methods"),
    ):
        heard = Notes()
        api.run(methods=methods, images=images, timing=False, jobs=1, listener=heard, **keys)
        said = [text for text in heard.texts if "takes the place of run 'same'" in text]
        assert len(said) == (unlike is not None)
        assert all(f"which had other {unlike}." in text for text in said)


def test_what_went_wrong_is_tried_again(workspace: Path) -> None:
    """A cell that failed does not answer from the store: the next run tries it, and it alone."""
    (workspace / "moody.py").write_text(
        "import mdnbench, pathlib\n"
        "def denoise(noisy, noise):\n"
        "    if not pathlib.Path('mended').exists() and noisy.shape[2] == 256:\n"
        "        raise OSError('not yet')\n"
        "    return noisy.clone()\n"
        "@mdnbench.hookimpl\n"
        "def mdnbench_denoisers():\n"
        "    return [mdnbench.DenoiserSpec('moody', '1', 'moody', lambda o, d, w: denoise)]\n"
    )
    keys: dict[str, Any] = {"methods": ["moody"], "sigma": 50, "images": ["01", "08"], "metrics": ["psnr"]}
    assert run("w", "moody.py", **keys).counts == {"ok": 1, "failed": 1}
    (workspace / "mended").touch()
    again = run("w", "moody.py", **keys)
    assert again.counts == {"ok": 2}
    assert (tally(again).computed, tally(again).cached) == (1, 1)

"""`mdnbench run` given what it cannot use: one line that says what was given, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

Said = Any
Mdnbench = Callable[..., Said]

COMMON = ("run", "--metrics", "psnr", "--no-timing")
SK12 = (*COMMON, "--dataset", "sk12")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((*SK12, "--sigma", 50, "--methods", "medain"), 2, "no method is named 'medain'. Did you mean 'median'?"),
        ((*SK12, "--noise", "gausian:50"), 2, "no noise is named 'gausian'. Did you mean 'gaussian'?"),
        ((*SK12, "--noise", "gaussian:sgima=5"), 2, "Did you mean 'sigma'?"),
        ((*SK12, "--sigma", 50, "--methods", "median[siez=3]"), 2, "no option of method 'median' is named 'siez'."),
        ((*SK12, "--sigma", 50, "--methods", "median[size=3"), 2, "lacks its closing bracket"),
        ((*SK12, "--sigma", 50, "--methods", ","), 2, "no method was given"),
        ((*COMMON, "--sigma", 50, "--dataset", "sk21"), 2, "Did you mean 'sk12'?"),
        ((*COMMON, "--sigma", 50, "--dataset", "set12", "--methods", "noisy"), 2, "mdnbench data fetch set12"),
        ((*SK12, "--sigma", 50, "--images", "1"), 2, "no image of data set 'sk12' is named '1'. Did you"),
        (("run", "--dataset", "sk12", "--sigma", 50, "--metrics", "psrn"), 2, "Did you mean 'psnr'?"),
        ((*SK12, "--sigma", 50, "--protocol", "standart"), 2, "Did you mean 'standard'?"),
        ((*SK12, "--sigma=-5"), 2, "sigma takes a number from 0 to 255"),
        ((*SK12, "--sigma", "nan"), 2, "sigma takes a number from 0 to 255"),
        ((*SK12, "--sigma", 900), 2, "sigma=900"),
        ((*SK12, "--sigma", "many"), 2, "--sigma 'many' is not a number"),
        ((*SK12, "--sigma", ""), 2, "no noise was given"),
        (SK12, 2, "no noise was given; say --sigma 50"),
        ((*SK12, "--sigma", 50, "--noise", "poisson:30"), 2, "--noise gaussian:25 --noise poisson:30"),
        ((*SK12, "--noise", "poisson:30,gaussian:5"), 2, "is more than one noise; give each its own --noise"),
        ((*SK12, "--noise", "poisson:0"), 2, "peak takes a number from 0.01"),
        ((*SK12, "--sigma", 50, "--seeds", 0), 2, "seeds = 0 is not allowed"),
        ((*SK12, "--sigma", 50, "--timeout", 0), 2, "timeout = 0.0 is not allowed"),
        ((*SK12, "--sigma", 50, "--noise-info", "guessed"), 2, "'estimated', 'known', 'withheld'"),
        ((*SK12, "--sigma", 50, "--device", "tpu"), 2, "it takes cpu, cuda or auto"),
        ((*SK12, "--sigma", 50, "--plugin", "nowhere.py"), 2, "there is no file"),
        ((*COMMON, "--sigma", 50, "--dataset", "~nosuchuser/photos"), 2, "no data set or folder is named"),
        (("report", "a" * 300), 5, "there is no run"),
        (("train", "dncnn", "--epochs", "inf"), 2, "above 0 and finite"),
        ((*COMMON, "nowhere.toml"), 2, "there is no plan file nowhere.toml"),
    ],
)
@pytest.mark.usefixtures("no_data")
def test_a_mistake_gets_one_line(mdnbench: Mdnbench, arguments: tuple[object, ...], code: int, says: str) -> None:
    """What was given, what is allowed, what to do: on one line of stderr, with the designed exit code."""
    said = mdnbench(*arguments)
    assert says in said.complaint()
    assert said.code == code
    assert not Path(".mdnbench").exists()


def test_an_unknown_key_of_a_plan_file_gets_one_line(mdnbench: Mdnbench, workspace: Path) -> None:
    """A misspelt key names the file and the likeliest key."""
    (workspace / "plan.toml").write_text("sigmas = [50]\n")
    said = mdnbench("run", "plan.toml")
    assert "plan.toml is named 'sigmas'. Did you mean 'sigma'?" in said.complaint()
    assert said.code == 2


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("", b"", "holds no images. Put files that end in"),
        ("broken.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "broken.png"),
        ("text.png", b"this is no image at all, but a text", "is not an image file that is known here"),
        ("empty.png", b"", "is empty"),
    ],
)
def test_a_bad_folder_gets_one_line(mdnbench: Mdnbench, workspace: Path, name: str, content: bytes, says: str) -> None:
    """An empty folder, and a folder with an image that cannot be read: refused by name, before anything is run."""
    (workspace / "photos").mkdir()
    if name:
        (workspace / "photos" / name).write_bytes(content)
    said = mdnbench(*COMMON, "--sigma", 50, "--dataset", "photos", "--methods", "noisy")
    assert says in said.complaint()
    assert said.code == 2


def test_an_image_below_the_ssim_window_gets_one_line(mdnbench: Mdnbench, workspace: Path) -> None:
    """The image is named with its size and what is needed, before anything is run."""
    (workspace / "photos").mkdir()
    PIL.Image.fromarray(np.zeros((10, 64), np.uint8)).save(workspace / "photos" / "tiny.png")
    said = mdnbench("run", "--sigma", 50, "--dataset", "photos", "--methods", "noisy", "--metrics", "psnr,ssim")
    assert "image 'tiny' is 64x10; ssim needs at least 11 pixels a side" in said.complaint()
    assert said.code == 2


def test_a_store_that_is_none_ends_with_3(mdnbench: Mdnbench, workspace: Path) -> None:
    """A file in the store's place is named and left alone."""
    (workspace / ".mdnbench").mkdir()
    path = workspace / ".mdnbench" / "results.sqlite"
    path.write_bytes(b"my shopping list, long enough to be read as the header of something else" * 5)
    before = path.read_bytes()
    said = mdnbench("run", "--methods", "noisy", "--sigma", 50, "--dataset", "sk12")
    assert "results.sqlite cannot be used" in said.complaint()
    assert said.code == 3
    assert path.read_bytes() == before


def test_an_unknown_command_or_option_ends_with_2(mdnbench: Mdnbench) -> None:
    """The parser's own refusals have the same exit code."""
    assert mdnbench("rnu").code == 2
    said = mdnbench("run", "--sigm", 50)
    assert (said.code, said.out) == (2, "")
    assert "--sigma" in said.err

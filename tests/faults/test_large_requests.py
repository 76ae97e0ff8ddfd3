"""Fault 50: requests of a size that no run can have are refused in bounded time, with the number and the limit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from mdnbench import api
from mdnbench.data import folders
from mdnbench.errors import UsageError
from mdnbench.planning import request
from mdnbench.spec.names import split_list
from mdnbench.util import limits

MILLION = 1_000_000


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Every refusal comes in seconds."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 40


@pytest.fixture
def tiny(workspace: Path) -> Path:
    """A folder with two small images."""
    folder = workspace / "tiny"
    folder.mkdir()
    for name in ("a", "b"):
        PIL.Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / f"{name}.png")
    return folder


def refused(call: Callable[..., Any], *arguments: Any, **keys: Any) -> str:
    """The one short line in which something is refused."""
    with pytest.raises(UsageError) as caught:
        call(*arguments, **keys)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 3000
    return message


@pytest.mark.parametrize(
    ("key", "values", "limit"),
    [
        ("images", [f"image-{number}" for number in range(MILLION)], "100,000"),
        ("methods", ["noisy"] * MILLION, "10,000"),
        ("noise", ["gaussian:25"] * MILLION, "10,000"),
        ("sigma", list(range(MILLION)), "10,000"),
        ("metrics", ["psnr"] * MILLION, "10,000"),
        ("plugins", ["own.py"] * MILLION, "10,000"),
    ],
)
def test_fault_50_a_million_names(key: str, values: list[Any], limit: str) -> None:
    """From Python, whatever the key."""
    said = refused(request.from_values, {key: values}, "the request")
    assert f"{key} has 1,000,000 entries, and at most {limit} are allowed" in said


def test_fault_50_a_million_names_in_a_plan_file(workspace: Path) -> None:
    """From a file, and in one text by comma."""
    names = ",".join(f'"{number}"' for number in range(MILLION))
    (workspace / "plan.toml").write_text(f"images = [{names}]\n", encoding="utf-8")
    assert "images has 1,000,000 entries" in refused(request.read, workspace / "plan.toml", {})
    assert "methods has 1,000,000 entries" in refused(request.from_values, {"methods": "a," * MILLION}, "here")
    assert "methods has" in refused(request.from_values, {"methods": "a[" + "b," * MILLION}, "here")


def test_fault_50_a_hundred_thousand_known_and_unknown_names(tiny: Path) -> None:
    """As many as are allowed are looked up quickly, and the first unknown one is named."""
    images = ["a"] * 99_999 + ["nothing"]
    said = refused(api.plan, methods="noisy", sigma=25, dataset=str(tiny), images=images)
    assert "'nothing'" in said


@pytest.mark.parametrize("options", [3, 4, 6, 4000])
def test_fault_50_a_grid_of_very_many_combinations(workspace: Path, options: int) -> None:
    """They are multiplied before one of them is made: 10^12 are named in full, 10^12000 by their order."""
    values = list(range(1000))
    table = {f"option{number}": values for number in range(options)}
    said = refused(request.from_values, {"methods": {"bm3d": table}}, "the plan")
    number = f"{1000**options:,}" if 1000**options < 10**18 else f"about 10^{3 * options}"
    assert f"make {number} combinations, and at most 10,000 are allowed" in said


def test_fault_50_many_small_grids_are_added_up(workspace: Path) -> None:
    """Each of them is allowed, but not all together; so is one list of a million values refused."""
    tables = {f"method{number}": {"a": list(range(100)), "b": list(range(100))} for number in range(20)}
    assert "make 200,000 combinations" in refused(request.from_values, {"methods": tables}, "the plan")
    said = refused(request.from_values, {"noise": {"gaussian": {"sigma": list(range(MILLION))}}}, "the plan")
    assert "noise.gaussian.sigma has 1,000,000 values" in said


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"sigma": [level / 100 for level in range(1000)], "seeds": 10_000}, "20,000,000 cells"),
        ({"sigma": [level / 100 for level in range(10_000)], "seeds": 10_000}, "200,000,000 cells"),
        ({"methods": [f"median[size={size}]" for size in (3, 5, 7, 9)], "seeds": 10_000,
          "sigma": [level / 100 for level in range(200)]}, "16,000,000 cells"),
    ],
)  # fmt: skip
def test_fault_50_cells_are_multiplied_before_an_image_is_loaded(
    tiny: Path, asked: dict[str, Any], number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number, what it comes from, and the limit."""
    from mdnbench.data import images

    monkeypatch.setattr(images, "read_image", lambda path: pytest.fail("an image was loaded"))
    said = refused(api.plan, **{"methods": "noisy", "dataset": str(tiny), "metrics": "psnr"} | asked)
    assert number in said
    assert "at most 10,000,000 are allowed in one run" in said
    assert "on 2 images with 10,000 seeds" in said


def test_fault_50_a_grid_of_10_to_the_12_cells(cli: Any, workspace: Path, tiny: Path) -> None:
    """From the command line: one line, exit code 2, and no store."""
    levels = ", ".join(str(number / 100) for number in range(10_000))
    options = ", ".join(map(str, (3, 5, 7, 9)))
    (workspace / "plan.toml").write_text(
        f"sigma = [{levels}]\nseeds = 10_000\ndataset = 'tiny'\n[methods.median]\nsize = [{options}]\n",
        encoding="utf-8",
    )
    done = cli("plan", "plan.toml")
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "cells, and at most 10,000,000 are allowed" in line
    assert not (workspace / ".mdnbench").exists()


@pytest.mark.parametrize("key", ["seeds", "jobs", "timeout", "memory", "train_budget"])
@pytest.mark.parametrize("value", [10**12, 10**400, 10**6000, -(10**6000)], ids=["12", "400", "6000", "minus"])
def test_fault_50_absurd_numbers(workspace: Path, key: str, value: int) -> None:
    """Those too that Python would not even write: in a file they are hexadecimal."""
    refused(request.from_values, {key: value}, "here")
    (workspace / "plan.toml").write_text(f"{key} = {'0x' + 'f' * 6000}\n", encoding="utf-8")
    refused(request.read, workspace / "plan.toml", {})


def test_fault_50_values_that_fit_no_message(workspace: Path) -> None:
    """What is repeated is cut, and what is too long is refused."""
    for values in ({"methods": 16**6000}, {"protocol": ["x"] * MILLION}, {"gray": "x" * MILLION}, {"x" * MILLION: 1}):
        refused(request.from_values, values, "here")
    assert "an entry of 1,000,000 characters" in refused(request.from_values, {"methods": "x" * MILLION}, "here")
    refused(request.from_values, {"methods": {"bm3d": {"profile": 16**6000}}}, "here")
    refused(request.from_values, {"methods": {"bm3d": {"profile": "x" * MILLION}}}, "here")


def test_fault_50_a_plan_that_is_no_file(workspace: Path) -> None:
    """A device, a pipe, and a file of gigabytes are refused before they are read."""
    os.mkfifo(workspace / "pipe.toml")
    with (workspace / "big.toml").open("wb") as file:
        file.truncate(limits.MAX_REQUEST_BYTES + 1)
    for path, reason in (("/dev/zero", "a device"), ("pipe.toml", "a pipe"), ("big.toml", "16,777,217 bytes")):
        assert reason in refused(request.read, Path(path), {})


def test_fault_50_a_folder_of_too_many_images(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before a header is read."""
    monkeypatch.setattr(folders, "MAX_IMAGE_NAMES", 5)
    (workspace / "many").mkdir()
    for number in range(6):
        (workspace / "many" / f"{number}.png").write_bytes(b"no image")
    assert "holds 6 images, and at most 5 are taken" in refused(folders.folder_dataset, workspace / "many")


def test_fault_50_unknown_names_list_no_million_others() -> None:
    """A message of a data set of very many images stays short, and is there at once."""
    from mdnbench.errors import UnknownName

    message = str(UnknownName("image", "x" * MILLION, [f"image-{number}" for number in range(100_000)]))
    assert "and 99,500 more" in message
    assert len(message) < 10_000


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("bm3d[a=1,b=2],nlm", ["bm3d[a=1,b=2]", "nlm"]),
        ("a,,b, c ,", ["a", "b", "c"]),
        ("a[b,c", ["a[b", "c"]),
        ("a]b,c", ["a]b", "c"]),
        ("a,b]", ["a,b]"]),
        ("[,],[,]", ["[,]", "[,]"]),
        ("", []),
    ],
)
def test_fault_50_lists_are_split_as_ever(text: str, parts: list[str]) -> None:
    """In one pass: a pattern that looks ahead at each comma takes hours for a million."""
    assert split_list(text) == parts

"""Names of runs and of files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.planning import default_name, request
from mdnbench.planning.request import Request
from mdnbench.util.slugs import slug


@pytest.mark.parametrize(
    ("noises", "changes", "name"),
    [
        (["gaussian:sigma=50"], {}, "sk12-gaussian-50"),
        (["gaussian:sigma=15", "poisson:peak=30"], {}, "sk12-gaussian-15-poisson-peak-30"),
        (["gaussian:sigma=50"], {"protocol": "float"}, "sk12-gaussian-50-float"),
        (["gaussian:sigma=50"], {"noise_info": "withheld"}, "sk12-gaussian-50-withheld"),
        (["gaussian:sigma=50"], {"methods": ("bm3d", "nlm[patch=5]")}, "sk12-gaussian-50-bm3d-nlm-patch-5"),
        (["gaussian:sigma=50"], {"methods": ("all",), "plugins": ("a/own.py",)}, "sk12-gaussian-50-own"),
        (["gaussian:sigma=50"], {"metrics": ("psnr",), "seeds": 5}, "sk12-gaussian-50-psnr-5-seeds"),
        (["gaussian:sigma=50"], {"images": ("01", "02"), "device": "cpu"}, "sk12-gaussian-50-images-01-02-cpu"),
        (["gaussian:sigma=50"], {"jobs": 2, "timing": False, "fresh": True, "timeout": 5.0}, "sk12-gaussian-50"),
    ],
)
def test_a_run_is_named_after_what_it_is(noises: list[str], changes: dict[str, Any], name: str) -> None:
    """The same command means the same run; whatever makes other cells or scores makes another name."""
    assert default_name("sk12", noises, Request(**changes)) == name


def test_plugins_of_a_call_are_part_of_the_name(plugin: Callable[..., Path]) -> None:
    """In Python as on the command line: what plugin files bring makes another run than without them."""
    path = plugin("@mdnbench.hookimpl\ndef mdnbench_denoisers(): return []")
    asked: dict[str, Any] = {"sigma": 50, "dataset": "sk12", "images": "01", "metrics": "psnr"}
    plain, more = api.plan(**asked), api.plan(plugins=[path], **asked)
    assert more.name == f"{plain.name}-own"
    assert api.plan(request.from_values({**asked, "plugins": str(path)}, "the request")).name == more.name


@pytest.mark.parametrize("many", ["noises", "methods", "images"])
def test_long_lists_that_differ_at_their_end_have_two_names(many: str) -> None:
    """Of many noises, methods or images three are named, and a digest tells the others apart."""
    lists = [("a", "b", "c", "d", last) for last in "ef"]
    if many == "noises":
        first, second = (default_name("sk12", each, Request()) for each in lists)
    else:
        first, second = (default_name("sk12", ["n"], Request(**{many: each})) for each in lists)  # type: ignore[arg-type]
    assert re.search(r"-a-b-c-and-2-more-[0-9a-f]{4}$", first)
    assert first != second


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a/b\\c:d*e", "a-b-c-d-e"),
        ("../../etc/passwd", "etc-passwd"),
        ("<script>=cmd()", "script-cmd"),
        ("x" * 80, "x" * 80),
    ],
)
def test_a_slug_is_a_plain_file_name(text: str, safe: str) -> None:
    """Whatever a name holds, its file name is letters, digits, dots and dashes, and cannot leave its folder."""
    assert slug(text) == safe


@pytest.mark.parametrize("text", ["", "...", "é", "ж" * 300, "x" * 300, "x" * 90 + "y", "x" * 70 + "-y" * 9])
def test_a_slug_of_a_lost_name_has_a_digest(text: str) -> None:
    """Where a name is cut or has no plain letters, a digest keeps it apart from the next one."""
    assert re.fullmatch(r"[a-z-]{3,71}-[0-9a-f]{8}", slug(text))
    assert slug(text) != slug(text + "z")


@pytest.mark.parametrize("name", ["CON", "con", "NUL.txt", "com1", "LPT9"])
def test_a_slug_is_no_device(name: str) -> None:
    """The names that Windows reserves for devices are not used as they are."""
    reserved = {"con", "prn", "aux", "nul", *(f"{kind}{number}" for kind in ("com", "lpt") for number in range(10))}
    assert slug(name).partition(".")[0].lower() not in reserved

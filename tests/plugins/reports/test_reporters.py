"""Reporters by name: their options, those of a plugin file, and what listing them costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.errors import BadOption, UnknownName
from mdnbench.results import Results
from mdnbench_reports import (
    page,
)


def test_a_reporter_takes_its_options(finished: Results, tmp_path: Path) -> None:
    """`html[limit=1]` writes a page of at most 1 MiB; an unknown option or a senseless limit is refused."""
    (path,) = api.report(finished, ["html[limit=1]"], folder=tmp_path)
    assert path == tmp_path / "report.html"
    assert path.stat().st_size <= page.MEBIBYTE
    with pytest.raises(BadOption, match="a number from 1 to 100"):
        api.report(finished, ["html[limit=0]"], folder=tmp_path)
    with pytest.raises(UnknownName):
        api.report(finished, ["html[size=3]"], folder=tmp_path)
    with pytest.raises(BadOption, match=r"no format was given; allowed: .*html"):
        api.report(finished, [], folder=tmp_path)


OWN = """
def apply(clean, rng, width):
    return clean + (rng.uniform(tuple(clean.shape)) - 0.5) * (width / 255)
def build(options, device, weights):
    return lambda noisy, noise: 0.5 * noisy + 0.25
def write(results, folder):
    path = folder / "names.txt"
    path.write_text(" ".join(row.method for row in results.means))
    return path
@mdnbench.hookimpl
def mdnbench_noises():
    width = mdnbench.Option("width", float, help="the range", minimum=0, maximum=255)
    return [mdnbench.NoiseSpec("uniform", "1", "uniform", apply, lambda width: None, (width,), "y = x + u")]
@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("halved", "1", "half the contrast", build, licence="beerware")]
@mdnbench.hookimpl
def mdnbench_reporters():
    return [mdnbench.ReporterSpec("names", "the methods", write)]
"""


def test_a_plugin_file_brings_reporters_and_what_the_run_used(
    plugin: Callable[..., Path], cli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, take_apart: Any
) -> None:
    """`--plugin` finds a reporter in a file, and the page its method's licence and its noise's noisy image."""
    path = plugin(OWN)
    run = ("--methods", "halved", "--noise", "uniform:80", "--dataset", "sk12", "--images", "01", "--metrics", "psnr")
    done = cli("run", "--plugin", path, *run, "--no-timing", "--jobs", 1, "--out", "done", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    without = cli("report", "done", "--to", "names", cwd=tmp_path)
    assert without.returncode == 2
    assert "names" in without.stderr
    done = cli("report", "done", "--to", "names,html", "--plugin", path, "--out", "shown", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shown" / "names.txt").read_text() == "halved"
    found = take_apart((tmp_path / "shown" / "report.html").read_text(encoding="utf-8"))
    assert "beerware" in found.words
    assert set(found.data["scenes"][0]["pictures"]) == {"clean", "noisy", "0"}


def test_the_plugin_is_cheap_to_import() -> None:
    """Listing reporters imports neither charts nor templates nor arrays."""
    code = (
        "import sys, mdnbench_reports as r; r.mdnbench_reporters(); "
        "print([n for n in ('vl_convert', 'jinja2', 'numpy', 'PIL', 'pandas') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

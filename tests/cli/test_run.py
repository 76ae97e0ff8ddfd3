"""`mdnbench run` and `plan`: the main job on real images, exit codes, plan files, other data, and Ctrl-C."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

Said = Any
Mdnbench = Callable[..., Said]
Cli = Callable[..., subprocess.CompletedProcess[str]]
Plugin = Callable[..., Path]

SMALL = ("--dataset", "sk12", "--images", "01,02", "--metrics", "psnr,ssim", "--no-timing", "--jobs", 1)
COLUMNS = "dataset,image,noise,seed,method,status,reason,psnr,ssim,seconds"


def test_the_main_job(cli: Cli, workspace: Path) -> None:
    """A real run: a table on stdout, best first, nothing on stderr, and the run's files; then again from the store."""
    command = ("run", "--methods", "noisy,median", "--sigma", "15,50", *SMALL)
    done = cli(*command)
    assert (done.returncode, done.stderr) == (0, "")
    for word in (
        "data sk12 (",
        "protocol standard (",
        "1 seed",
        "gaussian:sigma=15",
        "PSNR dB ↑",
        "SSIM ↑",
        "s / image",
    ):
        assert word in done.stdout
    assert re.search(r"median +2\d\.\d\d .*\n.*noisy +14\.\d\d ", done.stdout), done.stdout
    assert "8 ok; 0 from the store, 8 computed" in done.stdout
    name = "sk12-gaussian-15-gaussian-50-noisy-median-psnr-ssim-images-01-02"
    folder = workspace / ".mdnbench" / "runs" / name
    assert {path.name for path in folder.iterdir()} >= {"table.md", "cells.csv", "run.json"}
    assert not (folder / "timing.json").exists()
    assert (folder / "cells.csv").read_text().splitlines()[0].startswith(COLUMNS)
    facts = json.loads((folder / "run.json").read_text())
    assert {"cpu", "cores", "threads_per_cell", "os", "python", "revision", "packages"} <= set(facts["environment"])
    assert "| median" in (folder / "table.md").read_text()
    cells = (folder / "cells.csv").read_bytes()
    again = cli(*command)
    assert "8 ok; 8 from the store, 0 computed" in again.stdout
    assert (folder / "cells.csv").read_bytes() == cells


def test_json_is_all_that_stands_on_stdout(cli: Cli, plugin: Plugin) -> None:
    """A plugin that prints wherever it can does not spoil the JSON; a perfect output is null with a flag."""
    path = plugin(
        """
        import os
        print("at import")
        def build(options, device, weights):
            print("at build")
            def denoise(noisy, noise):
                print("at work", flush=True)
                os.write(1, b"from below\\n")
                return noisy.clone()
            return denoise
        def load(name):
            import numpy
            print("at load")
            return numpy.linspace(0, 1, 1024, dtype="float32").reshape(32, 32)
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec("loud", "1", "loud", build)]
        @mdnbench.hookimpl
        def mdnbench_datasets():
            return [mdnbench.DatasetSpec("loud", "loud", "test", 1, ("ramp",), load)]
        """
    )
    done = cli(
        "run", "--plugin", path, "--methods", "loud", "--dataset", "loud", "--noise", "salt-pepper:0", "--protocol",
        "float", "--metrics", "psnr,ssim", "--no-timing", "--jobs", 1, "--json", "--out", "loud",
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert done.returncode == 0
    for where in ("at import", "at build", "at work", "from below", "at load"):
        assert where in done.stderr
    (cell,) = found["cells"]
    assert (cell["scores"]["psnr"], cell["infinite"], cell["status"]) == (None, ["psnr"], "ok")
    (line,) = found["tables"][0]["lines"]
    assert (line["means"]["psnr"], line["infinite"]) == (None, ["psnr"])
    text = Path(".mdnbench/runs/loud/table.md").read_text(encoding="utf-8")
    assert "∞" in text
    assert "leaves them out" not in text  # there is no other mean
    facts = json.loads(Path(".mdnbench/runs/loud/run.json").read_text())
    assert facts["means"][0]["psnr"] is None
    assert facts["means"][0]["infinite"] == {"psnr": 1}


def test_failed_cells_end_with_4_and_so_does_a_named_method_that_is_skipped(cli: Cli, plugin: Plugin) -> None:
    """The table says how many cells are missing and why, and so does stderr of a method that was asked for by name."""
    path = plugin(
        """
        def fails(options, device, weights):
            raise OSError("the model is gone")
        def absent(options, device, weights):
            raise mdnbench.Unavailable("its licence is missing; buy one.")
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec(each.__name__, "1", "none", each) for each in (fails, absent)]
        """
    )
    common = ("run", "--plugin", path, "--sigma", 50, *SMALL)
    failed = cli(*common, "--methods", "fails")
    assert failed.returncode == 4
    assert "fails: 2 of 2 cells are missing (2 failed: OSError: the model is gone)." in failed.stdout
    absent = cli(*common, "--methods", "absent")
    assert absent.returncode == 4
    assert "absent was asked for by name and has no cell that is ok" in absent.stderr
    assert "absent: 2 of 2 cells are missing (2 skipped: its licence is missing; buy one)." in absent.stdout


METRIC = """
import os

def score(denoised, clean):
    mood = os.environ.get("MOOD")
    if mood == "raises":
        raise ValueError("no luck")
    if mood == "absent":
        raise mdnbench.Unavailable("its licence is missing; buy one.")
    return float("nan") if mood == "nan" else 1.0

@mdnbench.hookimpl
def mdnbench_metrics():
    return [mdnbench.MetricSpec("moody", "1", "moody", "higher", lambda device: score)]
"""


def test_failed_scores_end_with_4_and_skipped_ones_with_0(cli: Cli, plugin: Plugin) -> None:
    """A metric that raises or gives NaN is told and counts, though its cells are ok; once it works, all is well."""
    common = ("run", "--plugin", plugin(METRIC), "--methods", "noisy", "--sigma", 50, *SMALL, "--metrics", "psnr,moody")
    for mood, because in (("raises", "ValueError: no luck"), ("nan", "moody gave NaN")):
        failed = cli(*common, MOOD=mood)
        assert failed.returncode == 4
        assert f"noisy: MOODY has no value in 2 of 2 cells: {because}." in failed.stdout
        assert "2 ok, 2 scores failed; 0 from the store, " in failed.stdout
    absent = cli(*common, MOOD="absent")
    assert absent.returncode == 0
    assert "its licence is missing; buy one." in absent.stdout
    mended = cli(*common)
    assert mended.returncode == 0
    assert "2 ok; 0 from the store, 2 rescored from stored outputs, 0 computed. Files" in mended.stdout


@pytest.mark.full
def test_a_failed_attempt_beside_a_kept_output_ends_with_4(cli: Cli, plugin: Plugin) -> None:
    """The method fails when a new metric asks for its output again: the old values stand, and the failure is told."""
    path = plugin(
        """
        import os
        def denoise(noisy, noise):
            if os.environ.get("MOOD"):
                raise RuntimeError("out of sorts")
            return noisy.clone()
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec("flaky", "1", "none", lambda options, device, weights: denoise)]
        """
    )
    common = ("run", "--plugin", path, "--methods", "flaky", "--sigma", 50, *SMALL, "--keep-images", "none")
    assert cli(*common, "--metrics", "psnr").returncode == 0
    failed = cli(*common, "--metrics", "psnr,ssim", MOOD="bad")
    assert failed.returncode == 4
    assert "2 ok, 2 scores failed; 0 from the store, 0 computed, 2 failed. Files" in failed.stdout
    assert cli(*common, "--metrics", "psnr").returncode == 0
    assert cli(*common, "--metrics", "psnr,ssim").returncode == 0


@pytest.mark.full
def test_two_runs_that_take_one_name(
    workspace: Path, plugin: Plugin, photographs: Callable[..., Path], begin: Any, wait: Any, cli: Cli
) -> None:
    """Two folders called alike at once: the first run stops in one line, the second has its own cells alone."""
    path = plugin(
        """
        import time
        def denoise(noisy, noise):
            time.sleep(0.5)
            return noisy.clone()
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec("slow", "1", "slow", lambda options, device, weights: denoise)]
        """
    )
    names = tuple(str(number) for number in range(20))
    for folder in ("x", "y"):
        (workspace / folder).mkdir()
    photographs(workspace / "x" / "images", names)
    photographs(workspace / "y" / "images", names[:3])
    command = ("run", "--plugin", path, "--methods", "slow", "--sigma", 50, "--metrics", "psnr", "--no-timing",
               "--jobs", 1, "--fresh", "--dataset")  # fmt: skip
    first = begin(*command, "x/images")
    wait(lambda: list((workspace / ".mdnbench" / "images").rglob("*.npy")))
    second = cli(*command, "y/images", "--json")
    out, err = first.communicate(timeout=60)
    assert (first.returncode, out) == (3, "")
    assert re.fullmatch(r"mdnbench: another run, begun later, took the name '\S+'; .* another --out\.\n", err)
    assert second.returncode == 0, second.stderr
    found = json.loads(second.stdout)
    assert {cell["image"] for cell in found["cells"]} == {"0", "1", "2"}
    assert found["counts"] == {"ok": 3}
    assert {cell["image_digest"] for cell in found["cells"]} == set(found["facts"]["images"].values())
    assert cli("store", "check").returncode == 0


def test_a_plan_file_and_the_command_line_together(mdnbench: Mdnbench, workspace: Path) -> None:
    """What is said beside a plan file wins, key by key; `plan` computes nothing."""
    (workspace / "night.toml").write_text(
        'methods = ["noisy", "median"]\nsigma = [15, 50]\ndataset = "sk12"\nimages = ["01"]\nmetrics = ["psnr"]\n'
    )
    whole = json.loads(mdnbench("plan", "night.toml", "--json").out)
    assert (whole["cells"], whole["new_cells"]) == (4, 4)
    less = json.loads(mdnbench("plan", "night.toml", "--noise", "poisson:30", "--methods", "noisy", "--json").out)
    assert [(row["method"], row["noise"]) for row in less["methods"]] == [("noisy", "poisson:peak=30")]
    assert not (workspace / ".mdnbench" / "results.sqlite").exists()


@pytest.mark.usefixtures("no_data")
def test_without_any_data_the_main_job_says_which_images_it_uses(mdnbench: Mdnbench) -> None:
    """Set12 that is not available is replaced in one clear line, and the plan names the replacement."""
    done = mdnbench("plan", "--methods", "noisy", "--sigma", 50, "--metrics", "psnr")
    assert done.code == 0
    assert "data: sk12 (" in done.out
    assert "set12 is not available on this machine, so this run uses sk12 instead: " in done.out
    assert "datasets/set12/01.png is missing" in done.out


@pytest.mark.usefixtures("no_data")
def test_a_set12_that_was_altered_is_named(mdnbench: Mdnbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files that are there but are not Set12's do not pass for missing ones: the note names the first of them."""
    folder = tmp_path / "data" / "datasets" / "set12"
    folder.mkdir(parents=True)
    for number in range(1, 13):
        (folder / f"{number:02}.png").write_bytes(b"another picture")
    monkeypatch.setenv("MDNBENCH_DATA_PATH", str(tmp_path / "data"))
    done = mdnbench("plan", "--methods", "noisy", "--sigma", 50, "--metrics", "psnr")
    assert "data: sk12 (" in done.out
    assert f"{folder / '01.png'} is not the expected file" in done.out


def test_fault_28_ctrl_c_while_timing(begin: Any, wait: Any, workspace: Path, plugin: Plugin, cli: Cli) -> None:
    """The call that is running ends, the rest of the budget does not pass; the cells' table is there, and no timing."""
    path = plugin(
        """
        import pathlib, time
        def denoise(noisy, noise):
            if noisy.shape[-1] > 40:
                pathlib.Path("timing").touch()
                time.sleep(1.0)
            return noisy.clone()
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec("slow", "1", "slow", lambda options, device, weights: denoise)]
        """
    )
    photographs = workspace / "photos"
    photographs.mkdir()
    PIL.Image.fromarray(np.arange(24 * 32, dtype=np.uint8).reshape(24, 32)).save(photographs / "a.png")
    command = ["run", "--plugin", str(path), "--methods", "slow", "--sigma", "50", "--dataset", str(photographs),
               "--metrics", "psnr", "--jobs", "1", "--out", "timed"]  # fmt: skip
    process = begin(*command)
    wait(lambda: (workspace / "timing").exists())
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err
    assert time.monotonic() - asked < 10
    assert "stopped while timing; all cells are there" in err.splitlines()[-1]
    files = {path.name for path in (workspace / ".mdnbench" / "runs" / "timed").iterdir()}
    assert files == {"table.md", "cells.csv", "run.json"}


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.full)])
def test_fault_28_ctrl_c(workspace: Path, plugin: Plugin, cli: Cli, times: int) -> None:
    """Once drains and saves, twice stops at once: 130 both times, the store intact, and the next run goes on."""
    path = plugin(
        """
        import time
        def denoise(noisy, noise):
            time.sleep(2.0)
            return noisy.clone()
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec("slow", "1", "slow", lambda options, device, weights: denoise)]
        """
    )
    command = ["run", "--plugin", str(path), "--methods", "slow", "--sigma", "50", *map(str, SMALL)]
    process = subprocess.Popen(
        [sys.executable, "-m", "mdnbench", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    store = workspace / ".mdnbench" / "results.sqlite"
    start = time.monotonic()
    while not list((workspace / ".mdnbench" / "images").rglob("*.npy")) and time.monotonic() - start < 60:
        time.sleep(0.05)
    time.sleep(0.5)  # the first cell is saved, the second one has begun
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert ("goes on from there" if times == 1 else "stopped at once") in err.splitlines()[-1]
    assert "Traceback" not in err
    assert store.exists()
    again = json.loads(cli(*command, "--json").stdout)
    assert again["counts"] == {"ok": 2}
    shutil.rmtree(workspace / ".mdnbench")

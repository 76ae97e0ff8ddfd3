"""`mdnbench run` and `plan`: the main job on real images, bad input in one line, and names made to do harm."""

from __future__ import annotations

import csv
import json
import os
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

from mdnbench.registry import load

Said = Any
Mdnbench = Callable[..., Said]
Cli = Callable[..., subprocess.CompletedProcess[str]]
Plugin = Callable[..., Path]

SMALL = ("--dataset", "sk12", "--images", "01,02", "--metrics", "psnr,ssim", "--no-timing", "--jobs", 1)
COLUMNS = "dataset,image,noise,seed,method,status,reason,psnr,ssim,lpips,seconds"
HOSTILE = (
    "a[b]", "[bold red]x[/bold red]".replace("/", "∕"), "=cmd()", "+1", "-5", "@sum", "<script>alert(1)<∕script>",
    "CON", "x" * 240, "pipe|pipe", "*star*_`tick`", "new\nline", "tab\tx", "é∂", "a,b", 'quote"d', "'=x", "\x1b[31mred",
    "‮gnp",
)  # fmt: skip
LABELLED = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    build = lambda options, device, weights: lambda noisy, noise: noisy.clone()
    label = mdnbench.Option("label", str, default="none")
    return [mdnbench.DenoiserSpec("own", "1", "own", build, options=(label,), channels=(1, 3))]
"""


def photographs(folder: Path, names: tuple[str | bytes, ...]) -> Path:
    """A folder with images of these names, no two with the same pixels."""
    folder.mkdir()
    photo = load().datasets["sk12"].load("08")
    for number, name in enumerate(names):
        pixels = np.rint(photo[number * 7 : number * 7 + 24, :32] * 255).astype(np.uint8)
        with (folder / os.fsdecode(os.fsencode(name) + b".png")).open("wb") as file:
            PIL.Image.fromarray(pixels).save(file, format="PNG")
    return folder


# -- the main job --------------------------------------------------------------------------------------------------


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
    assert (cell["psnr"], cell["infinite"], cell["status"]) == (None, ["psnr"], "ok")
    (line,) = found["tables"][0]["lines"]
    assert (line["psnr"], line["infinite"]) == (None, ["psnr"])
    text = Path(".mdnbench/runs/loud/table.md").read_text(encoding="utf-8")
    assert "∞" in text
    assert "PSNR is infinite in 1 cells" in text
    facts = json.loads(Path(".mdnbench/runs/loud/run.json").read_text())
    assert facts["means"][0]["psnr"] is None
    assert facts["means"][0]["infinite"] == {"psnr": 1}


def test_failed_cells_end_with_4_and_skipped_ones_with_0(cli: Cli, plugin: Plugin) -> None:
    """The table says how many cells are missing and why; the exit code tells failure from absence."""
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
    assert absent.returncode == 0
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
    assert "2 ok; 0 from the store, 2 rescored from kept outputs, 0 computed. Files" in mended.stdout


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


def test_two_runs_that_take_one_name(workspace: Path, plugin: Plugin, begin: Any, wait: Any, cli: Cli) -> None:
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
    """Set12 that cannot be had is replaced in one clear line, and the plan names the replacement."""
    done = mdnbench("plan", "--methods", "noisy", "--sigma", 50, "--metrics", "psnr")
    assert done.code == 0
    assert "data: sk12 (" in done.out
    assert "set12 cannot be had, so this run uses sk12 instead: datasets/set12/01.png is missing" in done.out


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


# -- bad input -----------------------------------------------------------------------------------------------------

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
        ((*SK12, "--sigma", 50, "--methods", ","), 5, "no method"),
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
        ((*SK12, "--noise", "poisson:0"), 2, "peak takes a number from 0.01"),
        ((*SK12, "--sigma", 50, "--seeds", 0), 2, "seeds = 0 is not allowed"),
        ((*SK12, "--sigma", 50, "--timeout", 0), 2, "timeout = 0.0 is not allowed"),
        ((*SK12, "--sigma", 50, "--noise-info", "guessed"), 2, "'known', 'estimated', 'withheld'"),
        ((*SK12, "--sigma", 50, "--device", "tpu"), 2, "it takes cpu, cuda or auto"),
        ((*SK12, "--sigma", 50, "--plugin", "nowhere.py"), 2, "there is no file"),
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
    said = mdnbench("run", "--methods", "noisy", "--sigma", 50, *SMALL)
    assert "results.sqlite cannot be used" in said.complaint()
    assert said.code == 3
    assert path.read_bytes() == before


def test_an_unknown_command_or_option_ends_with_2(mdnbench: Mdnbench) -> None:
    """The parser's own refusals have the same exit code."""
    assert mdnbench("rnu").code == 2
    said = mdnbench("run", "--sigm", 50)
    assert (said.code, said.out) == (2, "")
    assert "--sigma" in said.err


# -- names made to do harm -----------------------------------------------------------------------------------------


def test_fault_26_hostile_file_names(cli: Cli, workspace: Path, plugin: Plugin) -> None:
    """Markup, formulas, devices, control characters, other encodings: shown as what they are, wherever they appear."""
    folder = photographs(workspace / "[red]photos<b>|x", (*HOSTILE, b"\xff\xfe"))
    path = plugin(LABELLED)
    label = "<script>|*x*`y`"
    done = cli(
        "run", "--plugin", path, "--methods", f"own,own[label={label}]", "--sigma", 50, "--dataset", folder,
        "--metrics", "psnr", "--no-timing", "--jobs", 1, "--out", "=evil|<b>", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    images = {cell["image"] for cell in json.loads(done.stdout)["cells"]}
    assert images == {*HOSTILE, "\\xff\\xfe"}
    (made,) = (workspace / ".mdnbench" / "runs").iterdir()
    assert re.fullmatch(r"[A-Za-z0-9.-]+", made.name)

    with (made / "cells.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (len(HOSTILE) + 1)
    for row in rows:
        for value in (row["image"], row["method"], row["dataset"]):
            assert not value.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert {row["image"].removeprefix("'") for row in rows} == {image.removeprefix("'") for image in images}

    text = (made / "table.md").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "\\<script\\>\\|\\*x\\*\\`y\\`" in text
    columns = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")}
    assert len(columns) == 1

    shown = cli("run", "--plugin", path, "--methods", f"own[label={label}]", "--sigma", 50, "--dataset", folder,
                "--metrics", "psnr", "--no-timing", "--jobs", 1, "--out", "=evil|<b>")  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert f"own[label={label}]" in shown.stdout
    assert "\x1b[31m" not in shown.stdout


def test_hostile_names_in_refusals_are_one_line(mdnbench: Mdnbench, workspace: Path) -> None:
    """A file name with a line break or an escape sequence cannot write a second line or paint the terminal."""
    photographs(workspace / "photos", ("new\nline\x1b[31m",))
    (bad,) = (workspace / "photos").iterdir()
    bad.write_bytes(b"no image")
    said = mdnbench("run", "--sigma", 50, "--dataset", "photos", "--methods", "noisy", "--metrics", "psnr")
    assert "\x1b" not in said.complaint()
    said = mdnbench("run", "--sigma", 50, "--dataset", "no\nsuch\x1b[31m", "--methods", "noisy", "--metrics", "psnr")
    assert "\x1b" not in said.complaint()
    said = mdnbench("run", "--noise", "gaussian:sigma=5\n0", "--dataset", "sk12", "--methods", "noisy")
    assert said.complaint()


# -- Ctrl-C --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
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

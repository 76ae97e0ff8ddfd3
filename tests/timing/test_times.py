"""`mdnbench time`: several sizes, self-tests that find cheats, quality against time, growth; with real processes."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from mdnbench import api, registry
from mdnbench.errors import NothingToDo
from mdnbench.planning import environment
from mdnbench.spec.timings import Benchmark, SelfTests, TimingRecord
from mdnbench.timing import quality, scaling
from mdnbench.timing.times import Times
from mdnbench.util import devices, jsonfile

PLUGIN = '''
import os
import time
from pathlib import Path
import mdnbench


def honest(options, device, weights):
    """Takes 15 ms for each image and 200 bytes for each pixel, draws random numbers, and writes its threads down."""
    def denoise(noisy, noise):
        import torch
        Path(f"threads-{torch.get_num_threads()}").touch()
        held = bytearray(b"x") * (200 * noisy.numel())
        time.sleep(0.015)
        return noisy + 0.01 * torch.rand(noisy.shape)
    return denoise


def remembers(options, device, weights):
    """Takes 30 ms, and nothing for what it has seen."""
    seen = {}
    def denoise(noisy, noise):
        key = noisy.numpy().tobytes()
        if key not in seen:
            time.sleep(0.03)
            seen[key] = noisy.clone()
        return seen[key].clone()
    return denoise


def drifts(options, device, weights):
    """Its second answer is not its first."""
    calls = []
    def denoise(noisy, noise):
        calls.append(None)
        return noisy + 0.001 * len(calls)
    return denoise


def waits(options, device, weights):
    """Takes 2 s for each image, and says which process it is in."""
    def denoise(noisy, noise):
        Path("waits").write_text(str(os.getpid()))
        time.sleep(2)
        return noisy.clone()
    return denoise


def raises(options, device, weights):
    raise OSError("gone")


def breaks(options, device, weights):
    """Answers once."""
    calls = []
    def denoise(noisy, noise):
        calls.append(None)
        if len(calls) > 1:
            raise RuntimeError("worn out")
        return noisy.clone()
    return denoise


def recovers(options, device, weights):
    """Can be built once a file is there."""
    Path("there").read_text()
    return lambda noisy, noise: noisy.clone()


@mdnbench.hookimpl
def mdnbench_denoisers():
    methods = (honest, remembers, drifts, waits, raises, breaks, recovers)
    return [mdnbench.DenoiserSpec(each.__name__, "1", "", each) for each in methods]
'''
SIDES = [64, 96, 128, 512]
KEYS: dict[str, Any] = {"sigma": 50, "dataset": "sk12", "images": ["01"], "metrics": ["psnr"], "plugins": ["own.py"]}
CHEATS = {**KEYS, "methods": ["honest", "remembers", "drifts", "raises"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin, where a run of the honest method is stored, and the others were timed."""
    found = tmp_path_factory.mktemp("times")
    (found / "own.py").write_text(PLUGIN, encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def times(folder: Path) -> Times:
    """The honest method and three that are not, timed at four sizes after the honest one was run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        api.run(**KEYS, methods=["honest"], timing=False, jobs=1)
        return api.time(**CHEATS, sizes=SIDES, threads=[1], budget_s=600.0)


def rows(times: Times, method: str) -> list[Benchmark]:
    """What was measured of a method, by size."""
    return [each for each in times.record.benchmarks if each.name == method]


def verdicts_of(times: Times, method: str) -> SelfTests:
    """What the self-tests found of a method."""
    found = rows(times, method)[0].extra_info.self_tests
    assert found is not None
    return found


def test_every_size_has_its_figures(times: Times) -> None:
    """Four groups, with rounds, pace and memory of their own; what a pixel needs is in the memory of each size."""
    found = rows(times, "honest")
    assert [each.extra_info.side for each in found] == SIDES
    assert [each.group.split(",")[0] for each in found] == [f"{side}×{side}" for side in SIDES]
    for each in found:
        stats, extra = each.stats, each.extra_info
        assert 1 <= stats.rounds == len(stats.data) <= 30
        assert min(stats.data) >= 0.015
        assert extra.warmups >= 1
        assert extra.ms_per_megapixel == pytest.approx(1e9 * stats.median / extra.side**2)
    held = [each.extra_info.peak_memory_bytes for each in found]
    assert held[-1] - held[0] >= 200 * (512**2 - 64**2) * 0.9


def test_an_honest_method_passes_its_tests(times: Times) -> None:
    """Its timed output is what the run stored, although it draws random numbers, and a known image is not quicker."""
    found = verdicts_of(times, "honest")
    assert (found.output, found.output_holds, found.quicker) == ("equal, and to the stored one", True, False)
    assert found.again == pytest.approx(1.0, abs=0.9)


def test_a_method_that_remembers_is_found_out(times: Times) -> None:
    """An image that it has seen takes it no time: told among the notes, and the exit code is 4."""
    found = verdicts_of(times, "remembers")
    assert found.quicker
    assert found.again < 0.9
    assert any("remembers (64×64, 1 thread) takes only" in note for note in times.notes)
    assert times.exit_code == 4


def test_a_method_whose_answer_drifts_is_found_out(times: Times) -> None:
    """What it gave the timing is not what it gave the run."""
    found = verdicts_of(times, "drifts")
    assert not found.output_holds
    assert found.output.startswith("differs by up to 0.2")
    assert any("what was timed is not what was scored" in note for note in times.notes)


def test_what_cannot_be_built_says_so_for_every_size(times: Times) -> None:
    """Its error stands in the record and in the notes."""
    assert times.record.problems == {f"raises ({side}×{side}, 1 thread)": "OSError: gone" for side in SIDES}
    assert "raises (64×64, 1 thread) was not timed: OSError: gone" in times.notes


def test_what_is_fresh_is_new_to_every_call(times: Times) -> None:
    """A method that remembers by content still takes its time in every counted call."""
    for each in rows(times, "remembers"):
        assert min(each.stats.data) >= 0.03


def test_quality_stands_against_time(times: Times) -> None:
    """The stored PSNR beside milliseconds per megapixel; methods without one are named."""
    assert times.pareto is not None
    (point,) = times.pareto.points
    assert (point.method, point.front) == ("honest", True)
    assert 10 < point.psnr < 20
    assert "the store does not hold every cell of remembers, drifts: `mdnbench run` fills it." in times.notes
    assert [table.columns for table in times.tables][-2:] == [quality.COLUMNS, scaling.COLUMNS]


def test_growth_is_fitted_where_there_are_sizes_enough(times: Times) -> None:
    """One fit per method; of what takes 15 ms whatever the size, time hardly grows, and memory does."""
    (found,) = [each for each in times.scaling if each.method == "honest"]
    assert found.sides == tuple(SIDES)
    assert found.time.low <= found.time.exponent <= found.time.high
    assert found.memory is not None
    assert found.memory.exponent > 0.2


def test_the_record_is_written_and_compared(times: Times) -> None:
    """The file holds the record, and pytest-benchmark reads all its groups."""
    path = times.folder / "timing.json"
    assert jsonfile.read(path, "record", TimingRecord) == times.record
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "512×512, 1 thread, cpu, gaussian:sigma=50" in done.stdout


def test_the_same_request_is_not_timed_again(times: Times, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stored record is shown, and quality is looked up anew."""
    monkeypatch.chdir(folder)
    once, again = (api.time(**KEYS, methods=["honest"], sizes=[64], threads=[1], budget_s=60.0) for _ in range(2))
    assert once.exit_code == 0
    assert again.record == once.record
    assert again.pareto is not None


@pytest.mark.full
def test_a_failure_is_no_answer_for_later(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that failed is timed by the next request, once it works."""
    monkeypatch.chdir(folder)
    keys = {**KEYS, "methods": ["recovers"], "sizes": [64], "threads": [1], "budget_s": 60.0}
    first = api.time(**keys)
    assert "FileNotFoundError" in first.record.problems["recovers"]
    (folder / "there").touch()
    second = api.time(**keys)
    assert (second.record.problems, second.exit_code) == ({}, 0)
    assert rows(second, "recovers")


@pytest.mark.full
def test_a_method_that_breaks_after_its_first_call_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that it answered is shown with its problem, beside the size that it never saw; the exit code is 4."""
    monkeypatch.chdir(folder)
    found = api.time(**KEYS, methods=["breaks"], sizes=[64, 96], threads=[1], budget_s=60.0)
    (timed,) = rows(found, "breaks")
    assert timed.stats.data == (timed.extra_info.first_call_s,)
    assert found.record.problems == {f"breaks ({side}×{side}, 1 thread)": "RuntimeError: worn out" for side in (64, 96)}
    assert found.notes[:2] == [
        "breaks (64×64, 1 thread) failed after 1 round, and its figures are of no more: RuntimeError: worn out",
        "breaks (96×96, 1 thread) was not timed: RuntimeError: worn out",
    ]
    assert found.exit_code == 4


SCRIPT = """
import mdnbench
print("top level")
found = mdnbench.time(
    methods=["noisy"], sigma=50, dataset="sk12", images=["01"], metrics=["psnr"], sizes=[64], threads=[1], budget_s=60.0
)
print(found.record.problems, len(found.record.benchmarks))
"""


@pytest.mark.full
@pytest.mark.parametrize("from_stdin", [True, False])
def test_the_script_that_asks_is_left_alone(workspace: Path, *, from_stdin: bool) -> None:
    """Timing processes do not import the script which began them: one from stdin has no file, another runs once."""
    script = workspace / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    with script.open(encoding="utf-8") as text:
        done = subprocess.run(
            [sys.executable, "-" if from_stdin else str(script)],
            stdin=text, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["top level", "{} 1"]


@pytest.mark.full
def test_the_command_counts_work_and_threads(folder: Path, cli: Callable[..., Any]) -> None:
    """On one thread and on all; multiply-adds per pixel are those of the network's convolutions."""
    if environment.cores() < 2:
        pytest.skip("this machine has one core")
    done = cli(
        "time", "--methods", "dncnn,honest", "--sigma", 50, "--dataset", "sk12", "--sizes", 64, "--time-budget", 600,
        "--threads", "1,2", "--plugin", "own.py", "--json", cwd=folder, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = jsonfile.parse(done.stdout, TimingRecord).benchmarks
    assert {(each.name, each.extra_info.threads) for each in found} == {
        ("dncnn", 1), ("dncnn", 2), ("honest", 1), ("honest", 2)
    }  # fmt: skip
    assert {path.name for path in folder.glob("threads-*")} == {"threads-1", "threads-2"}
    for each in found:
        tests = each.extra_info.self_tests
        assert tests.output.startswith("equal"), tests
        work = each.extra_info.multiply_adds_per_pixel
        assert work == (_convolved() if each.name == "dncnn" else None)


def _convolved() -> int:
    """The weights of dncnn's convolutions: at stride 1 each is multiplied once for every pixel."""
    from safetensors import safe_open

    trainable = registry.load().denoisers["dncnn"].trainable
    assert trainable is not None
    with safe_open(trainable.weights / "gaussian.safetensors", "pt") as file:
        shapes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118 (not a dict)
    return sum(math.prod(shape) for shape in shapes if len(shape) == 4)


@pytest.mark.full
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_keeps_nothing_that_is_half_done(folder: Path, tmp_path: Path) -> None:
    """While rounds go on: exit code 130, no file and nothing stored under these conditions, no process left over."""
    shutil.copy(folder / "own.py", tmp_path / "own.py")
    command = ["time", "--methods", "waits", "--sigma", "50", "--dataset", "sk12", "--sizes", "64", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mdnbench", *command, "--plugin", "own.py"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / "waits").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "nothing of this timing was stored" in said
    assert not list((tmp_path / ".mdnbench").rglob("timing.json"))
    with sqlite3.connect(tmp_path / ".mdnbench" / "results.sqlite") as store:
        assert store.execute("SELECT count(*) FROM timings").fetchone() == (0,)
    worker = int((tmp_path / "waits").read_text())
    assert not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE


def test_a_learned_method_without_weights_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing trains nothing; where nothing is left, that is said."""
    monkeypatch.chdir(folder)
    with pytest.raises(NothingToDo, match=r"it has no weights for .* `mdnbench train unet\[colour=true\]` first"):
        api.time(**KEYS, methods=["unet[colour=true]"], budget_s=1.0)


def test_fault_58_a_method_that_was_named_and_is_left_out_is_a_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are timed; the exit code is 4, and 0 where it was not named."""
    monkeypatch.chdir(folder)
    keys = {**KEYS, "sizes": [64], "threads": [1], "budget_s": 20.0}
    found = api.time(**keys, methods=["noisy", "unet[colour=true]"])
    assert (found.exit_code, list(found.record.left_out)) == (4, ["unet[colour=true]"])
    assert any(note.startswith("unet[colour=true] was left out: it has no weights") for note in found.notes)
    assert api.time(**keys, methods=["noisy"]).exit_code == 0


def test_a_gpu_is_timed_by_its_own_events(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a GPU: events within the clock's time, memory of its own, and equal outputs."""
    if devices.choose("auto") != "cuda":
        pytest.skip("there is no GPU here")
    monkeypatch.chdir(folder)
    keys = {**KEYS, "methods": ["dncnn"], "device": "cuda"}
    found = api.time(**keys, sizes=[256], threads=[1], budget_s=120.0)
    (each,) = found.record.benchmarks
    assert 0 < each.extra_info.device_s <= each.stats.max
    assert each.extra_info.peak_device_bytes > 0
    assert each.extra_info.self_tests.output.startswith("equal")

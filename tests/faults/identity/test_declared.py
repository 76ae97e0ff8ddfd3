"""Files that a spec declares count, also those that C code opens where the system does not show it."""

from __future__ import annotations

import re
import sys
from typing import Any

import cv2
import numpy as np
import pytest

from mdnbench.errors import BadPlugin
from mdnbench.registry import declared_files, load
from mdnbench.util import limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what C code and programs open")

# OpenCV opens the pictures in C code. They are outside the plugin's folder, where the system does not show it.
PLUGIN = """
    import cv2
    import mdnbench

    OUTSIDE = {outside!r}

    def level(name):
        return float(cv2.imread(f"{{OUTSIDE}}/{{name}}.png", 0)[0, 0]) / 256

    def method(name, files=()):
        def build(options, device, weights):
            value = level(name)
            return lambda noisy, noise: noisy * 0 + value
        return mdnbench.DenoiserSpec(name, "1", "x", build, files=files)

    def apply(clean, rng, by):
        return clean + rng.normal(clean.shape) * by * level("noise")

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        absolute, relative = f"{{OUTSIDE}}/absolute.png", "../outside/relative.png"
        return [method("absolute", (absolute,)), method("relative", (relative,)), method("undeclared")]

    @mdnbench.hookimpl
    def mdnbench_noises():
        by, files = mdnbench.Option("by", float, help="strength"), (f"{{OUTSIDE}}/noise.png",)
        return [mdnbench.NoiseSpec("rough", "1", "x", apply, lambda by: None, (by,), "y = x + n", files=files)]
"""
METRIC = """
    import cv2
    import mdnbench

    FILE = {file!r}

    def metric(device):
        more = float(cv2.imread(FILE, 0)[0, 0]) / 256
        return lambda denoised, clean: float(abs(denoised - clean).mean()) + more

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec("mine", "1", "x", "lower", metric, files=(FILE,))]
"""
DECLARES = """
    import mdnbench
    {patch}
    build = lambda options, device, weights: lambda noisy, noise: noisy

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("own", "1", "x", build, files={files})]
"""
# The method reads its level from a declared file, by Python code.
READS = """
    from pathlib import Path
    import mdnbench

    def build(options, device, weights):
        value = float(Path({path}).read_text())
        return lambda noisy, noise: noisy * 0 + value

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec({name!r}, "1", "x", build, files=({declared!r},))]
"""
METHODS = "absolute relative undeclared"
USED = {"noise": "rough:1", "metrics": ("psnr", "mine")}


def picture(lab: Any, name: str, value: int) -> None:
    """Write a picture of one value outside the plugin's folder."""
    folder = lab.folder / "outside"
    folder.mkdir(exist_ok=True)
    assert cv2.imwrite(str(folder / f"{name}.png"), np.full((4, 4), value, np.uint8))


@pytest.fixture
def declaring(lab: Any) -> Any:
    """A lab with methods, a noise and a metric that read pictures outside the plugin's folder, all but one declared."""
    for name in (*METHODS.split(), "noise", "metric"):
        picture(lab, name, 64)
    lab.write("inside/many.py", PLUGIN.format(outside=str(lab.folder / "outside")), plugin=True)
    lab.write("judge/mine.py", METRIC.format(file=str(lab.folder / "outside" / "metric.png")), plugin=True)
    return lab


def test_fault_31_declared_files_that_c_code_opens(declaring: Any) -> None:
    """An edit is computed again and names the file; without the declaration it would not be seen."""
    first = declaring.run(METHODS, **USED)
    assert first.tally.computed == 6
    again = declaring.run(METHODS, **USED)
    assert (again.tally.cached, again.changes) == (6, [])
    for name in METHODS.split():
        picture(declaring, name, 128)
    edited = declaring.run(METHODS, **USED)
    assert edited.renewed(first) == {"absolute", "relative"}
    (change,) = edited.changes
    assert "absolute.png" in change
    assert "relative.png" in change
    assert "4 stored cells will be computed again" in change
    assert first.values("absolute", noise="rough:by=1") != edited.values("absolute", noise="rough:by=1")


def test_fault_31_declared_files_of_noises_and_metrics(declaring: Any) -> None:
    """After an edit of a metric's file outputs are scored again; after one of a noise's file all is computed again."""
    first = declaring.run(METHODS, **USED)
    picture(declaring, "metric", 128)
    scored = declaring.run(METHODS, **USED)
    assert (scored.tally.rescored, scored.tally.computed) == (6, 0)
    assert any("metric.png" in change for change in scored.changes)
    before, after = (ran.values("absolute", "mine") for ran in (first, scored))
    assert np.allclose(np.subtract(after, before), 0.25)
    picture(declaring, "noise", 128)
    noisier = declaring.run(METHODS, **USED)
    assert noisier.tally.computed == 6
    assert any("noise.png" in change for change in noisier.changes)
    digests = ({row.noisy_digest for row in ran.rows.values()} for ran in (first, noisier))
    assert set.isdisjoint(*digests)


def test_describe_lists_declared_files(declaring: Any, cli: Any) -> None:
    """Before and after a run, for a method, a noise and a metric."""
    plugins = [f"--plugin={path}" for path in declaring.plugins]

    def listed(name: str) -> str:
        shown = cli("describe", name, *plugins, "--json")
        assert shown.returncode == 0, shown.stderr
        return str(shown.stdout)

    wanted = {"absolute": "absolute.png", "rough": "noise.png", "mine": "metric.png"}
    assert {name: file in listed(name) for name, file in wanted.items()} == dict.fromkeys(wanted, True)
    declaring.run(METHODS, **USED)
    assert {name: file in listed(name) for name, file in wanted.items()} == dict.fromkeys(wanted, True)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ("('nowhere.bin',)", "which does not exist; put the file there, or correct the path (relative paths start at"),
        ("('pics',)", "which is a folder; name each file in it that counts."),
        ("('/dev/null',)", "which is no regular file; name one, or leave it out."),
        ("tuple(f'{n}.bin' for n in range(1001))", "files names 1,001 files; at most 1,000 are allowed. Keep the data"),
        ("(1,)", "files=(1,) is not allowed; files takes a tuple of paths, as ('table.bin',)."),
        ("'table.bin'", "files='table.bin' is not allowed; files takes a tuple of paths, as ('table.bin',)."),
        ("('',)", "files takes a tuple of paths"),
    ],
)
def test_declared_files_are_checked_when_the_plugin_is_loaded(lab: Any, files: str, says: str) -> None:
    """Each mistake is named with what to do."""
    with pytest.raises(BadPlugin) as caught:
        load(lab.write("wrong.py", DECLARES.format(patch="", files=files)))
    assert says in str(caught.value)


def test_declared_files_of_a_plugin_that_patches(lab: Any) -> None:
    """Its specs come as data from the trial; their files are checked again, and count."""
    file = lab.write("table.txt", "1")
    path = lab.write("patching.py", DECLARES.format(patch="import numpy; numpy.mean = None", files="('table.txt',)"))
    entry = load(path).denoisers.entry("own")
    assert entry.patches
    assert declared_files.paths(entry.spec, entry.source) == (file,)
    file.unlink()
    with pytest.raises(BadPlugin, match="which does not exist"):
        load(path)


def test_a_declared_file_that_is_too_large_is_refused(lab: Any) -> None:
    """It would take minutes to compare; a file with a hole takes no place on the disk."""
    with (lab.folder / "huge.bin").open("wb") as file:
        file.truncate(limits.MAX_COUNTED_BYTES + 1)
    with pytest.raises(BadPlugin, match="leave it out, and change the revision instead"):
        load(lab.write("wrong.py", READS.format(name="own", path="''", declared="huge.bin")))


def test_fault_34_a_worker_with_another_declared_file(
    lab: Any, dask_cluster: Any, cli: Any, printed_cells: Any
) -> None:
    """Files below the plugin's folder are sent; others must be the same at their path, or the worker is refused."""
    here = "/proc/self/cwd/level.txt"  # one path, which is another file for each worker
    beside = "Path(__file__).parent / 'inner.txt'"
    lab.write("one/sent.py", READS.format(name="sent", path=beside, declared="inner.txt"), plugin=True)
    lab.write("one/inner.txt", "0.25")
    lab.write("two/local.py", READS.format(name="local", path=repr(here), declared=here), plugin=True)
    lab.write("level.txt", "0.5")

    def worker(name: str, level: str) -> None:
        (dask_cluster.folder / name).mkdir()
        (dask_cluster.folder / name / "level.txt").write_text(level)
        dask_cluster.worker(name)

    arguments = lab.arguments("sent local")
    cluster = ("--engine", "dask", "--scheduler", dask_cluster.address)
    worker("other", "0.75")
    refused = cli(*arguments, *cluster)
    assert refused.returncode == 2, refused.stderr
    assert re.search(rf"{here} of the plugin local is \w+ there and \w+ here", refused.stderr)
    worker("same", "0.5")
    done = cli(*arguments, *cluster)
    assert done.returncode == 0, done.stderr
    local = cli(*arguments, "--fresh", "--out", "local")
    assert local.returncode == 0, local.stderr

    def digits(printed: str) -> dict[Any, Any]:
        return {key: (cell["status"], cell["output_digest"]) for key, cell in printed_cells(printed).items()}

    assert digits(done.stdout) == digits(local.stdout)
    assert len(digits(done.stdout)) == 4

"""How a command ends does not depend on what a plugin has left behind in its process."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.timeout(180)

METHOD = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("own", "1", "x", lambda options, device, weights: lambda noisy, noise: noisy.clone())]
"""
AT_IMPORT = {
    "thread": "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()",
    "sleeps at exit": "import atexit, time; atexit.register(time.sleep, 600)",
    "exits with 0 at exit": "import atexit, os; atexit.register(os._exit, 0)",
    "fork": "import os; os.fork()",
    "child": "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', 'MARK'])",
}
CORE = ("thread", "exits with 0 at exit", "fork")
EACH = [name if name in CORE else pytest.param(name, marks=pytest.mark.full) for name in AT_IMPORT]
# What a trial cannot find: it happens when the coordinator itself asks the plugin for something.
LATER = """
import atexit, os, threading, time
from pathlib import Path

def load(name):
    import numpy
    {text}
    Path("done").touch()
    return numpy.zeros((32, 32), numpy.float32)

@mdnbench.hookimpl
def mdnbench_datasets():
    return [mdnbench.DatasetSpec("odd", "x", "test", 1, ("a",), load)]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize("what", EACH)
def test_fault_45_a_plugin_does_not_change_how_a_command_ends(
    plugin: Callable[..., Path], cli: Any, tmp_path: Path, what: str
) -> None:
    """The exit code is the command's own, there is one answer, and it ends; no process of the plugin is left."""
    path = plugin(f"{AT_IMPORT[what].replace('MARK', str(tmp_path))}\n{METHOD}")
    listed = cli("list", "methods", "--json", "--plugin", path, timeout=60)
    assert listed.returncode == 0, listed.stderr
    (patching,) = json.loads(listed.stdout)["patching"]
    assert "its process when it is imported; its methods run in processes of their own" in patching["summary"]
    unknown = cli("describe", "nosuch", "--plugin", path, timeout=60)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert not [each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in (each.info["cmdline"] or [])]


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize(
    "what", ["fork", pytest.param("thread", marks=pytest.mark.full), pytest.param("child", marks=pytest.mark.full)]
)
def test_fault_45_its_method_runs_in_its_own_process(
    plugin: Callable[..., Path], cli: Any, tmp_path: Path, what: str
) -> None:
    """There is one answer to each order, though the process of the method was forked by its plugin."""
    path = plugin(f"{AT_IMPORT[what].replace('MARK', str(tmp_path))}\n{METHOD}")
    done = cli("run", "--plugin", path, "--methods", "own,noisy", "--sigma", 25, "--dataset", "sk12", "--images", "01",
               "--metrics", "psnr", "--no-timing", "--jobs", 1, "--json", timeout=100)  # fmt: skip
    assert done.returncode == 0, done.stderr
    own, noisy = sorted(json.loads(done.stdout)["cells"], key=lambda cell: str(cell["method"] == "noisy"))
    assert (own["status"], own["scores"]) == ("ok", noisy["scores"])
    assert not [each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in (each.info["cmdline"] or [])]


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize(
    "text",
    [
        "threading.Thread(target=time.sleep, args=(600,)).start(); atexit.register(os._exit, 9)",
        "os.fork()",
    ],
    ids=["thread and handler", "fork"],
)
def test_fault_45_what_a_plugin_does_later(plugin: Callable[..., Path], cli: Any, tmp_path: Path, text: str) -> None:
    """A thread, a handler or a copy that a data set's own function makes: the command ends as if there were none."""
    path = plugin(LATER.replace("{text}", text))
    start = time.monotonic()
    done = cli("plan", "--plugin", path, "--methods", "noisy", "--sigma", 25, "--dataset", "odd", "--metrics", "psnr",
               "--json", timeout=100)  # fmt: skip
    assert (tmp_path / "done").exists(), "the function was not called"
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    assert time.monotonic() - start < 90


@pytest.mark.skipif(sys.platform == "win32", reason="compares with a process that ends in Python's own way")
def test_a_command_leaves_nothing_behind(cli: Any, workspace: Path) -> None:
    """It ends without Python's own farewell, and its store and its temporary folders are as tidy as after it."""
    scratch = workspace / "scratch"
    scratch.mkdir()
    done = cli("run", "--methods", "noisy", "--sigma", 25, "--dataset", "sk12", "--images", "01", "--metrics", "psnr",
               "--no-timing", "--jobs", 1, TMPDIR=str(scratch))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(scratch.iterdir()) == []
    assert [each.name for each in (workspace / ".mdnbench").glob("results.sqlite*")] == ["results.sqlite"]


# ---- 36: switches of libraries that the coordinator reads images with ------------------------------------------------


def test_fault_36_a_plugin_that_has_pillow_accept_cut_files(
    plugin: Callable[..., Path], cli: Any, workspace: Path, lab: Any
) -> None:
    """A truncated image is refused with the plugin as without it."""
    image = next((workspace / "pics").glob("1.png"))
    image.write_bytes(image.read_bytes()[:-40])
    switch = """
        import PIL.Image, PIL.ImageFile
        PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True
        PIL.Image.open({path!r}).load()  # it took effect
    """
    path = plugin(textwrap.dedent(switch).replace("{path!r}", repr(str(image))) + METHOD)
    for more in (("own", "--plugin", path), ("noisy",)):
        done = cli("plan", "--methods", *more, "--sigma", 25, "--dataset", workspace / "pics", "--metrics", "psnr")
        assert (done.returncode, done.stdout) == (2, ""), done
        assert "1.png' is damaged" in done.stderr

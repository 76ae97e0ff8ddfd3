"""Workers leave the script alone that began them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SCRIPT = """
import mdnbench

print("once")
found = mdnbench.run(
    methods=["noisy", "median"], noise="gaussian:50", dataset="sk12", images=["01"], metrics=["psnr"], timing=False,
    jobs=2, engine="local",
)
print(found.counts["ok"])
"""


@pytest.mark.parametrize(
    ("engine", "start"), [("local", ""), ("local", "spawn"), pytest.param("dask", "", marks=pytest.mark.full)]
)
def test_a_script_without_a_guard_runs_once(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, engine: str, start: str
) -> None:
    """A plain script, with no `if __name__ == "__main__"`, runs its matrix; no worker runs the script again."""
    if engine == "dask":
        pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setenv("MDNBENCH_START", start)
    path = workspace / "plain.py"
    path.write_text(SCRIPT.replace("local", engine), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)], cwd=workspace, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\n2\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows delivers Ctrl-C to whole consoles")
@pytest.mark.parametrize("delay_s", [0.0, *(pytest.param(each, marks=pytest.mark.full) for each in (0.05, 0.1))])
def test_ctrl_c_at_a_workers_birth_prints_no_traceback(workspace: Path, delay_s: float) -> None:
    """A terminal sends it to workers too, which are deaf to it from their first instruction on."""
    command = [sys.executable, "-m", "mdnbench", "run", "--methods", "noisy", "--sigma", "25", "--dataset", "sk12"]
    with subprocess.Popen(
        [*command, "--metrics", "psnr", "--no-timing", "--jobs", "1"],
        cwd=workspace, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while not spawned(process.pid):
            assert process.poll() is None
        time.sleep(delay_s)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said


def spawned(pid: int) -> bool:
    """Whether a process has begun a worker."""
    children = psutil.Process(pid).children(recursive=True)
    with contextlib.suppress(psutil.Error):
        return any("engine import server" in " ".join(child.cmdline()) for child in children)
    return False

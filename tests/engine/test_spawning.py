"""Workers leave the script alone that began them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize("engine", ["local", pytest.param("dask", marks=pytest.mark.full)])
def test_a_script_without_a_guard_runs_once(workspace: Path, engine: str) -> None:
    """A plain script, with no `if __name__ == "__main__"`, runs its matrix; no worker runs the script again."""
    if engine == "dask":
        pytest.importorskip("distributed", reason="Dask is not installed")
    path = workspace / "plain.py"
    path.write_text(SCRIPT.replace("local", engine), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)], cwd=workspace, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\n2\n", "")

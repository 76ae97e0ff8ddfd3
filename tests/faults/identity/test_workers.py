"""A Dask worker computes only with the code that the plugins have here."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what C code and programs open")


def package(lab_package: Any, folder: Path, level: float) -> str:
    """Install lab_plugin, version 1.0, with this level, into a folder of packages; its place for PYTHONPATH."""
    inner = folder / "site-packages"
    (inner / "lab_plugin").mkdir(parents=True)
    (inner / "lab_plugin" / "__init__.py").write_text(lab_package.text)
    (inner / "lab_plugin" / "inner.py").write_text(f"LEVEL = {level}\n")
    record = []
    for name in ("__init__.py", "inner.py"):
        digest = hashlib.sha256((inner / "lab_plugin" / name).read_bytes()).hexdigest()
        record.append(f"lab_plugin/{name},sha256={digest},\n")
    lab_package.install(inner, "".join(record), editable=False)
    return str(inner)


def test_fault_34_a_worker_with_other_code_in_a_plugin(
    lab: Any, lab_package: Any, level_plugin: Any, dask_cluster: Any, cli: Any, printed_cells: Any, tmp_path: Path
) -> None:
    """Refused and named with the reason; one with the same code computes, also a file plugin with its neighbours."""
    here = package(lab_package, tmp_path / "here", 0.5)
    same = package(lab_package, tmp_path / "same", 0.5)
    other = package(lab_package, tmp_path / "other", 0.75)
    lab.write("fileplugin/own.py", level_plugin("own", "from helper import LEVEL"), plugin=True)
    lab.write("fileplugin/helper.py", "from inner.deep import LEVEL\n")
    lab.write("fileplugin/inner/deep.py", "LEVEL = 0.5\n")
    arguments = lab.arguments("installed own noisy")
    cluster = ("--engine", "dask", "--scheduler", dask_cluster.address)
    dask_cluster.worker("other", PYTHONPATH=other)
    refused = cli(*arguments, *cluster, PYTHONPATH=here)
    assert refused.returncode == 2, refused.stderr
    assert "no worker of the Dask cluster can be used" in refused.stderr
    assert re.search(r"inner\.py of the plugin lab is \w+ there and \w+ here|lab.plugin", refused.stderr)
    dask_cluster.worker("same", PYTHONPATH=same)
    done = cli(*arguments, *cluster, PYTHONPATH=here)
    assert done.returncode == 0, done.stderr
    assert re.search(r"the Dask worker \S+ is not used: .*lab", done.stderr)
    local = cli(*arguments, "--fresh", "--out", "local", PYTHONPATH=here)
    assert local.returncode == 0, local.stderr
    names = ("psnr", "noisy_digest", "output_digest", "output", "status")

    def digits(printed: str) -> dict[Any, Any]:
        return {key: [cell[name] for name in names] for key, cell in printed_cells(printed).items()}

    assert digits(done.stdout) == digits(local.stdout)


# The module is outside the plugin's folder, and only `build` imports it: the import of the plugin does not load it.
# Each process finds it below its own working directory, so that one path is another file on each worker.
LATE = """
    import sys
    import mdnbench

    def build(options, device, weights):
        sys.path.insert(0, "/proc/self/cwd/lib")
        from late_level import LEVEL
        return lambda noisy, noise: noisy * 0 + LEVEL

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("late", "1", "x", build)]
"""


def test_fault_34_a_worker_with_other_code_that_only_build_imports(
    lab: Any, dask_cluster: Any, cli: Any, printed_cells: Any
) -> None:
    """It is refused when it has used the module, no number of it is stored, and others compute its cells."""
    lab.write("plugin/late.py", LATE, plugin=True)
    lab.write("lib/late_level.py", "LEVEL = 0.5\n")
    cluster = ("--engine", "dask", "--scheduler", dask_cluster.address)

    def worker(name: str, level: float) -> None:
        folder = dask_cluster.folder / name / "lib"
        folder.mkdir(parents=True)
        (folder / "late_level.py").write_text(f"LEVEL = {level}\n")
        dask_cluster.worker(name)

    arguments = lab.arguments("late noisy", "--seeds", 3)
    worker("other", 0.75)
    refused = cli(*arguments, *cluster)
    assert refused.returncode == 2, (refused.stdout, refused.stderr)
    assert "no worker of the Dask cluster can be used" in refused.stderr
    assert re.search(r"late_level.py, which the plugin late uses, is \w+ there and \w+ here", refused.stderr)
    worker("same", 0.5)
    done = cli(*arguments, *cluster)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert re.search(r"the Dask worker \S+ is not used: \S+late_level.py", done.stderr)
    again = cli(*arguments)
    assert again.returncode == 0, again.stderr
    assert "has changed" not in again.stderr
    local = cli(*arguments, "--fresh", "--out", "local")
    assert local.returncode == 0, local.stderr

    def digits(printed: str) -> dict[Any, Any]:
        return {key: (cell["status"], cell["output_digest"]) for key, cell in printed_cells(printed).items()}

    assert digits(done.stdout) == digits(local.stdout) == digits(again.stdout)
    assert {status for status, _ in digits(done.stdout).values()} == {"ok"}

"""A method process that grows is begun anew between two cells, before it can run out of anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from mdnbench import api
from mdnbench.data.images import write_png

LEAKS = """
    import os, subprocess, tempfile
    held = []

    def build(options, device, weights):
        def denoise(noisy, noise):
            held.append(bytearray(os.urandom(1)) * (4 << 20))  # 4 MiB
            held.append([open(os.devnull) for _ in range(3)])
            held.append(tempfile.mkstemp())
            held.append(subprocess.Popen(["sleep", "3600"], start_new_session=len(held) % 2 == 0))
            with open(LOG, "a") as log:
                print(os.getpid(), held[-1].pid, held[-2][1], file=log)
            return noisy.clone()
        return denoise

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("leaks", "1", "keeps all that it gets", build)]
"""


@pytest.mark.parametrize("cells", [120, pytest.param(3000, marks=pytest.mark.full)])
def test_a_plugin_that_leaks_costs_no_cell(plugin: Callable[..., Path], workspace: Path, cells: int) -> None:
    """Memory, descriptors, temporary files, children: no cell fails, nothing is left, the coordinator stays small."""
    log, folder = workspace / "log", workspace / "pictures"
    folder.mkdir()
    write_png(folder / "a.png", np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16))
    path = plugin(LEAKS.replace("LOG", repr(str(log))))
    api.run(
        methods=["noisy"], sigma=25, dataset=str(folder), metrics=["psnr"], timing=False, jobs=1, out="first"
    )  # so that what the first run of a process needs is there
    start = psutil.Process().memory_info().rss
    found = api.run(
        methods=["leaks"], sigma=25, dataset=str(folder), metrics=["psnr"], seeds=cells, timing=False, jobs=1,
        keep_images="none", plugins=[path], timeout=120,
    )  # fmt: skip
    grown = psutil.Process().memory_info().rss - start
    assert found.counts == {"ok": cells}
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len(lines) == cells
    assert len({line[0] for line in lines}) > cells // 40, "no process was begun anew"
    for process, child, file in lines:
        assert not psutil.pid_exists(int(process))
        assert not psutil.pid_exists(int(child))
        assert not Path(file).exists()
    assert grown < 100 * 2**20

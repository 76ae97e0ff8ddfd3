"""One thread per cell: torch, OpenMP and BLAS, whatever the person's variables say and a plugin asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mdnbench import api

PLUGIN = """
import json, os, time

def denoise(noisy, noise):
    import numpy, scipy.linalg, threadpoolctl, torch
    square = numpy.random.rand(700, 700).astype(numpy.float32)
    start, used = time.perf_counter(), time.process_time()
    for _ in range(20):
        square = square @ square / 700
        torch.nn.functional.conv2d(noisy, torch.ones(16, 1, 7, 7), padding=3)
    share = (time.process_time() - used) / (time.perf_counter() - start)
    pools = {each["user_api"] + " " + each["prefix"]: each["num_threads"] for each in threadpoolctl.threadpool_info()}
    with open("threads.log", "a") as log:
        print(json.dumps({"pools": pools, "torch": torch.get_num_threads(), "share": share}), file=log)
    torch.set_num_threads(4)
    threadpoolctl.threadpool_limits(4)
    return noisy.clone()

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("busy", "1", "busy", lambda options, device, weights: denoise)]
"""


def test_a_cell_has_one_thread(workspace: Path, plugin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """By threadpoolctl's word and by the processor time used, in the first cell and after one that asked for four."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "4")
    results = api.run(
        methods=["busy"], sigma=50, dataset="sk12", images=["01", "02"], metrics=["psnr"], timing=False, jobs=1,
        plugins=[plugin(PLUGIN)],
    )  # fmt: skip
    assert results.counts == {"ok": 2}
    cells = [json.loads(line) for line in (workspace / "threads.log").read_text().splitlines()]
    assert len(cells) == 2
    for cell in cells:
        assert {name.split()[0] for name in cell["pools"]} >= {"openmp", "blas"}
        assert set(cell["pools"].values()) == {1}
        assert cell["torch"] == 1
        assert cell["share"] < 1.2  # processor seconds for each second that passed

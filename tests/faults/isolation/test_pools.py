"""A method may use process pools: they work, or fail at once."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc, and other limits")

Pair = Any

POOLS = """
    import multiprocessing, time
    from concurrent.futures import ProcessPoolExecutor
    import torch

    def half(x):
        return x * 0.5

    def executor(x):
        with ProcessPoolExecutor(1) as pool:
            return list(pool.map(half, [x]))[0]

    def pool(x):
        with multiprocessing.Pool(1) as pool:
            return pool.map(half, [x])[0]

    def context(kind):
        def call(x):
            with multiprocessing.get_context(kind).Pool(1) as pool:
                return pool.map(half, [x])[0]
        return call

    def executing(kind):
        def call(x):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(kind)) as pool:
                return pool.submit(half, x).result()
        return call

    def process(x):
        with multiprocessing.Manager() as manager:
            found = manager.list()
            worker = multiprocessing.Process(target=put, args=(found, x))
            worker.start()
            worker.join()
            return found[0]

    def put(found, x):
        found.append(half(x))

    def imap(x):
        with multiprocessing.Pool(2) as pool:
            return list(pool.imap_unordered(half, [x, x, x]))[0]

    def inner(x):
        def local(x):
            return x * 0.5
        with ProcessPoolExecutor(1) as pool:
            return pool.submit(local, x).result()

    def raising(x):
        with ProcessPoolExecutor(1) as pool:
            return pool.submit(fails, x).result()

    def fails(x):
        raise ValueError("cannot halve this")

    def dying(x):
        with ProcessPoolExecutor(1) as pool:
            return pool.submit(os._exit, 3).result()

    class Halves(torch.utils.data.Dataset):
        def __init__(self, x): self.x = x
        def __len__(self): return 2
        def __getitem__(self, index): return half(self.x)

    def loader(x):
        return next(iter(torch.utils.data.DataLoader(Halves(x), num_workers=1)))[0].numpy()

    def joblib(x):
        from joblib import Parallel, delayed
        return Parallel(2)(delayed(half)(each) for each in [x, x])[0]

    def timed(name, call):
        def denoise(noisy, noise):
            start = time.monotonic()
            try:
                found = call(noisy.numpy())
            finally:
                prove(name, time.monotonic() - start)
            return torch.from_numpy(found.copy())
        return denoise

    def early(options, device, weights):
        pool = multiprocessing.Pool(1)
        return timed("early", lambda x: pool.map(half, [x])[0])

    def early_executor(options, device, weights):
        pool = ProcessPoolExecutor(1)
        return timed("early_executor", lambda x: pool.submit(half, x).result())

    CALLS = {
        "executor": executor, "pool": pool, "process": process, "imap": imap, "inner": inner, "raising": raising,
        "dying": dying, "loader": loader, "joblib": joblib,
        **{f"pool-{kind}": context(kind) for kind in ("fork", "forkserver")},
        **{f"executor-{kind}": executing(kind) for kind in ("fork", "spawn")},
    }

    def made(name, call):
        return mdnbench.DenoiserSpec(name, "1", "x", lambda options, device, weights: timed(name, call))

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        built = [mdnbench.DenoiserSpec("early", "1", "x", early)]
        built += [mdnbench.DenoiserSpec("early_executor", "1", "x", early_executor)]
        return [*(made(name, call) for name, call in CALLS.items()), *built, made("direct", half)]
"""
WORKING = ("executor", "pool", "process", "imap", "loader", "early", "early_executor", "executor-fork", "pool-fork")
SPAWNING = ("executor-spawn", "pool-forkserver")
FAILING = {"inner": "local", "raising": "cannot halve this", "dying": "terminated abruptly"}
LIMIT_S = 60.0  # far from what starting a process takes, even on a busy machine


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory, new_lab: Any, start: str, pair: Any) -> Pair:
    """Methods that share their work between processes, in all ways that Python offers."""
    more = ["joblib"] if importlib.util.find_spec("joblib") else []
    methods = " ".join([*WORKING, *SPAWNING, *FAILING, *more, "direct"])
    lab = new_lab(tmp_path_factory.mktemp("pooled"))
    return pair(lab, start, POOLS, methods, timeout=LIMIT_S)


def test_fault_39_process_pools_work(pooled: Pair) -> None:
    """Pools, executors, managers and loaders of every kind give what the same computation gives without them."""
    expected = pooled.together.values("direct")
    names = [name for name in (*WORKING, *SPAWNING, "joblib") if pooled.together.of(name)]
    assert {row.reason for name in names for row in pooled.together.of(name)} == {""}
    assert {name: pooled.together.values(name) for name in names} == dict.fromkeys(names, expected)


def test_fault_39_pools_that_cannot_work_fail_at_once(pooled: Pair, digits: Any) -> None:
    """With the reason, and never by the time limit; no process is left of any of them."""
    for name, said in FAILING.items():
        assert [row.status for row in pooled.together.of(name)] == ["failed", "failed"]
        assert all(said in row.reason for row in pooled.together.of(name))
    assert max(pooled.proofs().values()) < LIMIT_S
    assert "timeout" not in {row.status for row in pooled.together.rows.values()}
    assert digits(pooled.together) == digits(pooled.alone)

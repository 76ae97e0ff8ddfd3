"""What planning costs: looking a request up, and the keys of its cells."""

from __future__ import annotations

from typing import Any

from mdnbench import api, registry
from mdnbench.planning import Plan


def large(seeds: int) -> Plan:
    """Five methods under three noises on sk12."""
    return api.plan(
        methods=["noisy", "median", "bm3d", "dncnn", "unet"], noise=["gaussian:15", "gaussian:50", "poisson:60"],
        dataset="sk12", seeds=seeds,
    )  # fmt: skip


def test_looking_a_request_up(benchmark: Any, figure: Any) -> None:
    """Plugins are loaded, names are parsed, images are read and digested, weights are found."""
    registry.load()
    works = benchmark(lambda: large(1).works)
    assert [work.noise.named.name for work in works] == 10 * ["gaussian"] + 5 * ["poisson"]
    assert [bool(work.weights) for work in works[:5]] == [False, False, False, True, True]
    if benchmark.enabled:
        figure("planning five methods under three noises on sk12", benchmark.stats.stats.median * 1e3, "ms")


def test_the_keys_of_cells(benchmark: Any, figure: Any) -> None:
    """Every cell has keys of its own; methods share the case's."""
    plan = large(20)
    cells = benchmark(lambda: [cell for work in plan.works for _, cell in plan.cells(work)])
    assert len({cell.output for cell in cells}) == len(cells) == plan.size
    assert len({cell.case for cell in cells}) == 3 * 12 * 20
    if benchmark.enabled:
        figure("a cell's keys", benchmark.stats.stats.median / plan.size * 1e6, "µs", below=20)

"""The choice of an engine, which decides where the cells of a plan are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mdnbench.engine.loop import Engine
from mdnbench.engine.tasks import Setup
from mdnbench.planning import Plan, environment


def require(engine: str) -> None:
    """Check that everything that an engine needs is installed. Call it before anything is trained.

    Raises:
        BadOption: A package is missing.
    """
    if engine == "dask":
        from mdnbench.engine.dask import connection

        connection.require()


def make(plan: Plan, setup: Setup, metrics: Sequence[str], note: Callable[[str], None]) -> Engine:
    """Return the engine that a plan requests.

    Args:
        plan: The plan of the run.
        setup: What all tasks share.
        metrics: The names of the metrics that can be computed.
        note: Called with each message for the user.
    """
    return {"local": _local, "dask": _dask}[plan.request.engine](plan, setup, tuple(metrics), note)


def _local(plan: Plan, setup: Setup, metrics: tuple[str, ...], note: Callable[[str], None]) -> Engine:
    from mdnbench.engine.local import LocalEngine

    return LocalEngine(setup, plan.request.jobs or environment.cores())


def _dask(plan: Plan, setup: Setup, metrics: tuple[str, ...], note: Callable[[str], None]) -> Engine:
    from mdnbench.engine.dask import CodeComparison, DaskEngine, HostSetup, Transfer, fingerprint

    request = plan.request
    transfer = Transfer(plan, setup, metrics)
    order = HostSetup(transfer.setup, metrics)
    jobs = request.jobs if request.scheduler else request.jobs or environment.cores()
    here = fingerprint.issue(plan.registry, setup, metrics)
    return DaskEngine(order, transfer, here, CodeComparison(setup), request.scheduler, jobs, note)

"""Connect to a Dask cluster: to one that is running, or to a new one on this machine."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mdnbench.engine import spawn
from mdnbench.errors import BadOption, UsageError
from mdnbench.util.limits import DASK_CONNECT_S

if TYPE_CHECKING:
    from distributed import Client


def require() -> None:
    """Check that Dask is installed.

    Raises:
        BadOption: Dask is not installed; the message gives the command that installs it.
    """
    if importlib.util.find_spec("distributed") is None:
        raise BadOption("the engine 'dask' needs Dask, which is not installed: pip install 'mdnbench[dask]'.")


@contextmanager
def connect(scheduler: str, jobs: int) -> Iterator[Client]:
    """Yield a client of a Dask cluster, and close it afterwards.

    Args:
        scheduler: The address of a running scheduler; if empty, a cluster is started on this machine.
        jobs: The number of workers of the cluster that is started here.

    Raises:
        BadOption: The address needs TLS certificates that are not configured.
        UsageError: No scheduler answers at the address.
    """
    if scheduler:
        with _client(scheduler) as client:
            yield client
        return
    with _local(jobs) as address, _client(address) as client:
        yield client


@contextmanager
def _client(address: str) -> Iterator[Client]:
    from distributed import Client, Security

    if address.startswith("tls:") and not Security().get_connection_args("client").get("ssl_context"):
        raise BadOption(
            f"{address} needs certificates, which Dask takes from its configuration: set "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and "
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY."
        )
    try:
        client = Client(address, timeout=DASK_CONNECT_S, set_as_default=False, name="mdnbench")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no Dask scheduler can be reached at {address!r} ({error}). Start one with `dask scheduler`, and give the "
            "address that it prints: --scheduler tcp://HOST:8786."
        ) from None
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _local(jobs: int) -> Iterator[str]:
    """Yield the address of a new cluster on this machine: `jobs` single-threaded processes that ignore Ctrl-C."""
    from distributed import LocalCluster

    before = dict(os.environ)
    with spawn.without_script():
        cluster = LocalCluster(
            n_workers=jobs, threads_per_worker=1, processes=True, memory_limit=0, dashboard_address=None,
            silence_logs=logging.CRITICAL, preload=["mdnbench.engine.dask.host"],
        )  # fmt: skip
        try:
            yield cluster.scheduler_address
        finally:
            cluster.close()
            _restore(before)


def _restore(before: dict[str, str]) -> None:
    """Restore the environment variables that Dask set for its workers, the numbers of threads among them."""
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)

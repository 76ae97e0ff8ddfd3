"""The engine `dask`: it computes cells on other machines, in the same worker processes as the local engine."""

from __future__ import annotations

from mdnbench.engine.cluster.engine import DaskEngine
from mdnbench.engine.cluster.freight import Transfer
from mdnbench.engine.cluster.host import HostSetup

__all__ = ["DaskEngine", "HostSetup", "Transfer"]

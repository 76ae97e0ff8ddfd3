"""The engine `dask`: it computes cells on other machines, in the same worker processes as the local engine."""

from __future__ import annotations

from mdnbench.engine.cluster.engine import DaskEngine
from mdnbench.engine.cluster.freight import Freight
from mdnbench.engine.cluster.host import Order

__all__ = ["DaskEngine", "Freight", "Order"]

"""The engine `dask`: the same cells in the same kind of worker processes, hosted by Dask workers on other machines."""

from __future__ import annotations

from mdnbench.engine.cluster.engine import DaskEngine
from mdnbench.engine.cluster.freight import Freight
from mdnbench.engine.cluster.host import Order

__all__ = ["DaskEngine", "Freight", "Order"]

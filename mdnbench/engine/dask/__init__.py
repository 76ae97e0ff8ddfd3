"""The engine `dask`: it computes cells on other machines, in the same worker processes as the local engine."""

from __future__ import annotations

from mdnbench.engine.dask.code_comparison import CodeComparison
from mdnbench.engine.dask.engine import DaskEngine
from mdnbench.engine.dask.host import HostSetup
from mdnbench.engine.dask.transfer import Transfer

__all__ = ["CodeComparison", "DaskEngine", "HostSetup", "Transfer"]

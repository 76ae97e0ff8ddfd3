"""Turn names, options and files into cells. Everything is looked up and checked; nothing is computed.

`engine`, `timing` and `api` import this package. Start with `making.py`, which turns a `Request` into a `Plan`.
"""

from mdnbench.planning.plan import Plan, PlannedImage, PlannedMethod, PlannedNoise
from mdnbench.planning.planner import find_dataset, make
from mdnbench.planning.run_names import default_name

__all__ = ["Plan", "PlannedImage", "PlannedMethod", "PlannedNoise", "default_name", "find_dataset", "make"]

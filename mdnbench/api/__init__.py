"""The public Python API: the functions for notebooks and scripts, which the command line calls too.

Only `cli` and the lazy names in `mdnbench` itself import this package. Start with `running.py`, which has `run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from mdnbench.api.analysing import (
        baseline_change,
        check,
        claims,
        compare,
        open_run,
        report,
        rescore,
        write_baseline,
    )
    from mdnbench.api.datasets import fetch_data, find_leaks, verify_data
    from mdnbench.api.plugins import check_plugin, doctor, new_plugin
    from mdnbench.api.running import estimate, plan, run, time
    from mdnbench.api.stores import check_store, compact_store, merge_store, unused_results
    from mdnbench.api.weights import export_model, export_weights, import_weights, inspect_weights, train

__all__ = [
    "baseline_change",
    "check",
    "check_plugin",
    "check_store",
    "claims",
    "compact_store",
    "compare",
    "doctor",
    "estimate",
    "export_model",
    "export_weights",
    "fetch_data",
    "find_leaks",
    "import_weights",
    "inspect_weights",
    "merge_store",
    "new_plugin",
    "open_run",
    "plan",
    "report",
    "rescore",
    "run",
    "time",
    "train",
    "unused_results",
    "verify_data",
    "write_baseline",
]

# A command needs few of these modules, so each is imported when one of its functions is first used.
__getattr__, __dir__, _ = lazy.attach(
    __name__,
    submod_attrs={
        "datasets": ["fetch_data", "find_leaks", "verify_data"],
        "plugins": ["check_plugin", "doctor", "new_plugin"],
        "analysing": [
            "baseline_change",
            "check",
            "claims",
            "compare",
            "open_run",
            "report",
            "rescore",
            "write_baseline",
        ],
        "stores": ["check_store", "compact_store", "merge_store", "unused_results"],
        "weights": ["export_model", "export_weights", "import_weights", "inspect_weights", "train"],
        "running": ["estimate", "plan", "run", "time"],
    },
)

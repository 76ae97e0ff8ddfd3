"""Wrong: everyone gets the same array, and whoever writes into it writes for all."""

from __future__ import annotations

import numpy as np

from mdnbench import DatasetSpec, hookimpl

RAMP = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (64, 1))


@hookimpl
def mdnbench_datasets():
    """One data set."""
    return [
        DatasetSpec("dataset-twice", "wrong", "test", 1, ("ramp",), lambda name: RAMP, licence="CC0", citation="none")
    ]

"""Wrong: its images are on the 0-255 scale."""

from __future__ import annotations

import numpy as np

from mdnbench import DatasetSpec, hookimpl


def load(identity):
    """A ramp from 0 to 255."""
    return np.tile(np.arange(256, dtype=np.float32), (64, 1))


@hookimpl
def mdnbench_datasets():
    """One data set."""
    return [DatasetSpec("dataset-images", "wrong", "test", 1, ("ramp",), load, licence="CC0", citation="none")]

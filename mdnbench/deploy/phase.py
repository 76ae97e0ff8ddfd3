"""What a run or a timing needs made before it begins: ONNX files, so that no cell's time limit has to pay for them."""

from __future__ import annotations

import contextlib

from mdnbench import variants
from mdnbench.errors import MdnbenchError
from mdnbench.listener import Listener
from mdnbench.planning import Plan


def prepare(plan: Plan, listener: Listener) -> None:
    """Make the ONNX files that a plan's methods compute from, where they are not there.

    What cannot be made here is left to the cells: each says why, unless the store answers it.
    """
    for work in plan.works:
        variant = variants.of(work.spec, work.named)
        if not variant.onnx or work.weights is None or work.skip:
            continue
        from mdnbench.deploy import models

        if not models.at_hand(work.weights, variant.precision):
            phase = f"making {models.path_of(work.weights, variant.precision).name}"
            listener.begin(phase, 1)
            with contextlib.suppress(MdnbenchError):
                models.obtain(plan.registry, work.spec, work.weights, variant.precision)
            listener.end(phase)

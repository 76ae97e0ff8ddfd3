"""What a run or a timing needs made before it begins: ONNX files, so that no cell's time limit has to pay for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench.errors import Interrupted
from mdnbench.planning import Plan, Work
from mdnbench.registry import variants
from mdnbench.util.listener import Listener

if TYPE_CHECKING:
    from mdnbench.weights import Weights


def prepare(plan: Plan, listener: Listener) -> None:
    """Make the ONNX files that a plan's methods compute from, where they are not there.

    What cannot be made here is left to the cells: each says why, unless the store answers it.
    """
    for work in plan.works:
        variant = variants.of(work.spec, work.named)
        if not variant.onnx or work.weights is None or work.skip:
            continue
        from mdnbench.training.deploy import models

        if not models.at_hand(work.spec, work.weights, variant.precision):
            phase = f"making {models.path_of(work.spec, work.weights, variant.precision).name}"
            listener.begin(phase, 1)
            _try(plan, work, work.weights, variant.precision)
            listener.end(phase)


def _try(plan: Plan, work: Work, weights: Weights, precision: str) -> None:
    """Make a work's file if that can be done, whatever its plugin raises meanwhile."""
    from mdnbench.training.deploy import models

    try:
        models.obtain(plan.registry, work.spec, weights, precision)
    except Interrupted:
        raise
    except (Exception, SystemExit):  # its cells come to the same, and say so
        return

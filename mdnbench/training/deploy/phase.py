"""The phase that makes ONNX files before a run or a timing, because no cell's time limit should include it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench.errors import Interrupted, TookTooLong
from mdnbench.planning import Plan, PlannedMethod
from mdnbench.registry import variants
from mdnbench.util.listener import Listener

if TYPE_CHECKING:
    from mdnbench.weights import Weights


def prepare(plan: Plan, listener: Listener) -> None:
    """Make the ONNX files that the methods of a plan need, if they do not exist.

    Failures are ignored here: the cells that need the file report the reason, unless they are stored already.
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


def _try(plan: Plan, work: PlannedMethod, weights: Weights, precision: str) -> None:
    """Make the file of a work if possible. Ignore whatever its plugin raises."""
    from mdnbench.training.deploy import models

    try:
        models.obtain(plan.registry, work.spec, weights, precision)
    except (Interrupted, TookTooLong):
        raise
    except (Exception, SystemExit):  # its cells will report the same error
        return

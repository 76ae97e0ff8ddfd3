"""The training phase of a run: methods whose weights nobody has are trained first, within the train budget."""

from __future__ import annotations

from mdnbench.engine.stopping import Stop
from mdnbench.listener import Listener
from mdnbench.planning import Plan


def train_missing(plan: Plan, listener: Listener, stop: Stop) -> Plan:
    """The plan with weights for every method; a method that cannot be trained here is marked as skipped."""
    if not any(work.training for work in plan.works):
        return plan
    raise NotImplementedError

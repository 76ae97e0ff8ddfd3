"""The training phase of a run: methods that nobody has weights for are trained first, within the train budget."""

from __future__ import annotations

import dataclasses

from mdnbench.errors import DataMissing
from mdnbench.listener import Listener
from mdnbench.planning import Plan, Work
from mdnbench.training import session


def train_missing(plan: Plan, listener: Listener) -> Plan:
    """The plan with weights for every method; one that cannot be trained for lack of data is marked as skipped."""
    pending = {work.named.text: work for work in plan.works if work.training}
    if not pending:
        return plan
    minutes = plan.request.train_budget
    listener.note(f"no weights for {', '.join(pending)}: each is trained now, for {minutes:g} minutes at most.")
    skipped = {text: reason for text, work in pending.items() if (reason := _train(plan, work, minutes, listener))}
    return dataclasses.replace(plan, untrained=skipped)


def _train(plan: Plan, work: Work, minutes: float, listener: Listener) -> str:
    """Train one method; the reason where its data is not to be had."""
    order = session.Order(work.named, minutes=minutes, device=plan.device)
    try:
        session.run(order, plan.registry, listener)
    except DataMissing as error:
        return f"it has no weights and cannot be trained here: {error}"
    return ""

"""The training phase of a run: methods that nobody has weights for are trained first, within the train budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from mdnbench import weights
from mdnbench.errors import Interrupted, MdnbenchError
from mdnbench.planning import Plan, Work
from mdnbench.registry import variants
from mdnbench.training import session
from mdnbench.util.listener import Listener


def train_missing(plan: Plan, listener: Listener, stop: Callable[[], bool] = lambda: False) -> Plan:
    """The plan with weights for every method; one that cannot be trained, as for lack of data, is marked as skipped.

    Interrupted, with a checkpoint saved, where `stop` says so.
    """
    pending = [(work, (work.named.text, _parent(work))) for work in plan.works if work.training]
    if not pending:
        return plan
    trainings, minutes = {training: work for work, training in pending}, plan.request.train_budget
    if minutes:
        texts = ", ".join(dict.fromkeys(text for text, _ in trainings))
        listener.note(f"no weights for {texts}: each is trained now, for {minutes:g} minutes at most.")
        reasons = {key: _train(plan, work, minutes, listener, stop) for key, work in trainings.items()}
    else:
        reasons = dict.fromkeys(trainings, "it has no weights, and the train budget is 0.")
    untrained = {(work.named.text, work.noise.named.text): reasons[training] for work, training in pending}
    return dataclasses.replace(plan, untrained=untrained)


def _parent(work: Work) -> str:
    """What a method with fewer channels is pruned from, which another noise may choose otherwise; '' for others."""
    if variants.of(work.spec, work.named).keep == 1:
        return ""
    found = weights.parent(work.spec, work.named, work.noise.named)
    return found.sha256 if found else ""


def _train(plan: Plan, work: Work, minutes: float, listener: Listener, stop: Callable[[], bool]) -> str:
    """Train one method; the reason where that cannot be done, which is no reason to give up the others."""
    order = session.Order(
        work.named, minutes=minutes, device=plan.device, noise=work.noise.named, tests=(plan.dataset,)
    )
    try:
        session.run(order, plan.registry, listener, stop)
    except Interrupted:
        raise
    except (Exception, SystemExit) as error:  # the loss and the network are a plugin's
        said = str(error) if isinstance(error, MdnbenchError) else f"{type(error).__name__}: {error}"
        return f"it has no weights and cannot be trained here: {said}"
    return ""

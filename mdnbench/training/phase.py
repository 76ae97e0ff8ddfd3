"""The training phase of a run: methods without weights are trained first, within the train budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from mdnbench import weights
from mdnbench.errors import Interrupted, MdnbenchError
from mdnbench.planning import Plan, PlannedMethod
from mdnbench.registry import variants
from mdnbench.training import session
from mdnbench.util.listener import Listener


def train_missing(plan: Plan, listener: Listener, stop: Callable[[], bool] = lambda: False) -> Plan:
    """Train the methods of a plan that have no weights.

    Args:
        plan: The plan.
        listener: Receives progress and notes.
        stop: Called before every step; True stops the training.

    Returns:
        The plan with weights for every method. A method that cannot be trained, for example for lack of data, is
        skipped.

    Raises:
        Interrupted: `stop` returned True; a checkpoint was saved.
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


def _parent(work: PlannedMethod) -> str:
    """Return the digest of the weights that a method is pruned from, which may depend on the noise; or ''."""
    if variants.of(work.spec, work.named).keep == 1:
        return ""
    found = weights.parent(work.spec, work.named, work.noise.named)
    return found.sha256 if found else ""


def _train(plan: Plan, work: PlannedMethod, minutes: float, listener: Listener, stop: Callable[[], bool]) -> str:
    """Train one method. Return the reason if that fails; the other methods are trained nevertheless."""
    order = session.TrainingRequest(
        work.named, minutes=minutes, device=plan.device, noise=work.noise.named, tests=(plan.dataset,)
    )
    try:
        session.run(order, plan.registry, listener, stop)
    except Interrupted:
        raise
    except (Exception, SystemExit) as error:  # the loss and the network belong to a plugin
        said = str(error) if isinstance(error, MdnbenchError) else f"{type(error).__name__}: {error}"
        return f"it has no weights and cannot be trained here: {said}"
    return ""

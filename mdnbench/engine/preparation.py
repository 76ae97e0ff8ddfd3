"""What methods need once on a machine, such as compiled code or an ONNX file. It counts in no time limit or timing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

from mdnbench.errors import Interrupted, MdnbenchError, TookTooLong
from mdnbench.planning import Plan, PlannedMethod
from mdnbench.registry import variants
from mdnbench.registry.plugin_errors import named_errors
from mdnbench.util.listener import Listener


def prepare(
    plan: Plan,
    works: Iterable[PlannedMethod],
    listener: Listener,
    stop: Callable[[], bool],
    *,
    compute_here: bool = True,
) -> None:
    """Prepare methods that are about to compute or to be timed, each as a phase that the listener sees.

    Failures are ignored here: the cells of the method report them.

    Args:
        plan: The plan.
        works: The methods of the plan that have something to do.
        listener: The object that receives the progress.
        stop: Called before every method; True ends the preparation.
        compute_here: Whether this machine computes. If not, its code is not compiled here, because each worker does
            that; ONNX files are made nevertheless, because they are sent to the workers.

    Raises:
        TookTooLong: A plugin's function did not return within its time limit.
    """
    for work in works:
        if stop():
            return
        if compute_here:
            with _ignored_errors(work):
                _prepare(work, listener)
        with _ignored_errors(work):
            _make_onnx(plan, work, listener)


@contextlib.contextmanager
def _ignored_errors(work: PlannedMethod) -> Iterator[None]:
    try:
        with named_errors(f"the method {work.named} is prepared"):
            yield
    except (Interrupted, TookTooLong):
        raise
    except MdnbenchError:
        return


def _prepare(work: PlannedMethod, listener: Listener) -> None:
    """Do what the method's spec asks for, unless it is done already."""
    if work.spec.prepare is None:
        return
    options = variants.own(work.spec, work.named)
    phase = work.spec.prepare(options, False)
    if phase:
        listener.begin(phase, 1)
        try:
            work.spec.prepare(options, True)
        finally:
            listener.end(phase)


def _make_onnx(plan: Plan, work: PlannedMethod, listener: Listener) -> None:
    """Make the ONNX file of a variant that computes from one, unless it is there already."""
    variant = variants.of(work.spec, work.named)
    if not variant.onnx or work.weights is None:
        return
    from mdnbench.training.deploy import models

    if not models.at_hand(work.spec, work.weights, variant.precision):
        phase = f"making {models.path_of(work.spec, work.weights, variant.precision).name}"
        listener.begin(phase, 1)
        try:
            models.obtain(plan.registry, work.spec, work.weights, variant.precision)
        finally:
            listener.end(phase)

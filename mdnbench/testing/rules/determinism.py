"""The rules of determinism: an output depends only on the image and on what the method may know about the noise."""

from __future__ import annotations

import torch
from threadpoolctl import threadpool_limits

from mdnbench.engine.process_state import differences, now, restore
from mdnbench.evaluation.adapters import to_tensor
from mdnbench.testing.rules.methods import MethodSubject, distance, same
from mdnbench.testing.rules.rule import Rule, RuleBroken

THREADS_TOLERANCE = 1e-4  # on the [0, 1] scale: sums in another order differ in the last digits of float32


def leaves_input(method: MethodSubject) -> None:
    """It does not change its input."""
    given, original = to_tensor(method.noisy()), to_tensor(method.noisy())
    method.raw(method.build(), given)
    if not same(given, original):
        raise RuleBroken(
            "the noisy image unchanged",
            f"{int((given != original).sum())} of its {given.numel()} values were written to",
            "work on a copy: `noisy.clone()`, and no operation that ends in an underscore or writes by `out=`.",
        )


def leaves_state(method: MethodSubject) -> None:
    """It does not change the state that a process shares: random numbers, threads, types, variables, folder."""
    noisy = to_tensor(method.noisy())
    method.raw(method.build(), noisy.clone())  # modules that this imports may change the state, once
    restore(method.before)
    before = now()
    denoise = method.build()
    # A network draws random numbers for its first weights.
    changed = set(differences(before, now(), leave_out=("random",)))
    restore(method.before)
    before = now()
    method.raw(denoise, noisy)
    changed |= set(differences(before, now()))
    restore(method.before)
    if changed:
        raise RuleBroken(
            "a process as it was before",
            f"changed: {'; '.join(sorted(changed))}",
            "keep it to yourself: a generator of your own (`torch.Generator`, `np.random.default_rng(0)`), `with` "
            "blocks (`np.errstate`, `torch.enable_grad`) and full paths.",
        )


def repeats(method: MethodSubject) -> None:
    """The same image gives the same output again."""
    denoise = method.build()
    first, again = (method.call(denoise, method.noisy()) for _ in range(2))
    if not same(first, again):
        raise RuleBroken(
            "the same output to the last bit",
            f"outputs that differ by up to {distance(first, again):.2g}",
            "seed your own generator anew in every call, and keep nothing from one call to the next.",
        )


def is_independent_of_order(method: MethodSubject) -> None:
    """The output does not depend on earlier images."""
    alone = method.call(method.build(), method.noisy(1))
    denoise = method.build()
    for seed in (2, 3):
        method.call(denoise, method.noisy(seed))
    after = method.call(denoise, method.noisy(1))
    if not same(alone, after):
        raise RuleBroken(
            "the same output whether an image comes first or third",
            f"outputs that differ by up to {distance(alone, after):.2g}",
            "keep nothing of one image for the next: no running statistics (`eval()`), no state in closures.",
        )


def threads(method: MethodSubject) -> None:
    """The output does not depend on the number of threads, within 1e-4 of the [0, 1] scale."""
    denoise = method.build()
    one = method.call(denoise, method.noisy())
    restore(method.before, seed=1)
    torch.set_num_threads(2)
    with threadpool_limits(2):
        two = method.raw(denoise, to_tensor(method.noisy()))
    restore(method.before)
    if distance(one, two) > THREADS_TOLERANCE:
        raise RuleBroken(
            f"outputs on one and on two threads that differ by at most {THREADS_TOLERANCE:g}",
            f"a difference of {distance(one, two):.2g}",
            "let no result depend on how work is split: no tiles by thread, no sums in half precision.",
        )


RULES = (
    Rule("determinism-input", leaves_input),
    Rule("determinism-state", leaves_state),
    Rule("determinism-twice", repeats, gate=True),
    Rule("determinism-order", is_independent_of_order),
    Rule("determinism-threads", threads),
)

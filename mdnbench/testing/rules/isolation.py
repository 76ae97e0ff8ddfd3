"""The rules of isolation: a method changes no score of others, and makes no use of a clean image in its process.

In a run, processes keep methods apart, so a method that breaks these rules does no harm there. In a notebook it would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdnbench import registry
from mdnbench.evaluation import protocols, scoring
from mdnbench.spec.records import Case
from mdnbench.testing.rules import samples
from mdnbench.testing.rules.methods import distance, same
from mdnbench.testing.rules.rule import Rule, RuleBroken

if TYPE_CHECKING:
    from mdnbench.testing.rules.methods import MethodSubject

METRICS = ("psnr", "ssim")


def scores() -> tuple[float, ...]:
    """Return the scores of a noisy photograph, which represents another method's output."""
    known, clean = registry.ours(), samples.clean()
    specs = {name: known.metrics[name] for name in METRICS if name in known.metrics}
    scorers = {name: spec.build("cpu") for name, spec in specs.items()}
    rule = protocols.load("standard").scoring
    found = scoring.score(samples.noisy(clean), clean, rule, specs, scorers)
    return tuple(-1.0 if each.value is None else each.value for each in found)


def leaves_scores(method: MethodSubject) -> None:
    """The scores of other methods are the same after this one has run."""
    method.call(method.build(), method.noisy())
    after = scores()
    if after != method.scores:
        raise RuleBroken(
            f"the scores of another image ({' and '.join(METRICS)}), {_shown(method.scores)}",
            f"{_shown(after)} once this method has run in the process",
            "replace nothing in numpy, torch, scikit-image or mdnbench: call what you need under a name of your own.",
        )


def _shown(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def finds_no_clean_image(method: MethodSubject) -> None:
    """Its output is the same whether or not the clean image is somewhere in its process."""
    denoise, noisy = method.build(), method.noisy()
    alone = method.call(denoise, noisy)
    case = Case(samples.clean(method.channels), noisy, "", method.known)
    beside = method.call(denoise, noisy)
    if not same(alone, beside):
        raise RuleBroken(
            "the same output with and without the clean image in the process",
            f"outputs that differ by up to {distance(alone, beside):.2g} once an object holds a {type(case).__name__}",
            "compute from the noisy image alone; do not look for the clean one in objects, frames, files or memory.",
        )


RULES = (Rule("isolation-scores", leaves_scores), Rule("isolation-clean", finds_no_clean_image))

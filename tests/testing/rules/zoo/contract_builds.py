"""Wrong: one of the values that its option allows was never written."""

from __future__ import annotations

from mdnbench import DenoiserSpec, Option, hookimpl

MODE = Option("mode", str, "half", "what to do", choices=("half", "quarter"))


def build(options, device, weights):
    """One of the values that its option allows was never written."""
    filters = {"half": lambda noisy, noise: noisy / 2}
    return filters[options["mode"]]


@hookimpl
def mdnbench_denoisers():
    """One method."""
    return [DenoiserSpec("contract-builds", "1", "wrong", build, (MODE,), licence="MIT", citation="none")]

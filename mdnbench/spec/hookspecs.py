"""The five hooks that a plugin may implement. Each returns a list of frozen specs, and each is optional.

Mark an implementation with `@mdnbench.hookimpl`. None of them takes an argument.
"""

from __future__ import annotations

import pluggy

from mdnbench.spec.specs import DatasetSpec, DenoiserSpec, MetricSpec, NoiseSpec, ReporterSpec

GROUP = "mdnbench"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def mdnbench_denoisers() -> list[DenoiserSpec]:
    """Denoising methods: float32 (1, C, H, W) in, the same out, nominally in [0, 1]."""
    raise NotImplementedError


@hookspec
def mdnbench_noises() -> list[NoiseSpec]:
    """Noise models: clean float32 (…, C, H, W) in [0, 1] in, noisy and unclipped out."""
    raise NotImplementedError


@hookspec
def mdnbench_datasets() -> list[DatasetSpec]:
    """Data sets: images float32 (H, W) or (H, W, 3) in [0, 1], by id."""
    raise NotImplementedError


@hookspec
def mdnbench_metrics() -> list[MetricSpec]:
    """Quality metrics: a denoised and a clean image in [0, 1] in, one number out."""
    raise NotImplementedError


@hookspec
def mdnbench_reporters() -> list[ReporterSpec]:
    """Ways to write results down: the results and a folder in, the path of what was written out."""
    raise NotImplementedError

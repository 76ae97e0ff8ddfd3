"""The five hooks that a plugin may implement. Each is optional and returns a list of frozen specs.

Mark an implementation with `@mdnbench.hookimpl`. No hook takes an argument.
"""

from __future__ import annotations

import pluggy

from mdnbench.spec.specs import DatasetSpec, DenoiserSpec, MetricSpec, NoiseSpec, ReporterSpec

GROUP = "mdnbench"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def mdnbench_denoisers() -> list[DenoiserSpec]:
    """Return denoising methods, which map a float32 tensor (1, C, H, W), nominally in [0, 1], to one of its shape."""
    raise NotImplementedError


@hookspec
def mdnbench_noises() -> list[NoiseSpec]:
    """Return noise models, which map a clean float32 image (…, C, H, W) in [0, 1] to a noisy, unclipped one."""
    raise NotImplementedError


@hookspec
def mdnbench_datasets() -> list[DatasetSpec]:
    """Return data sets, which load float32 images (H, W) or (H, W, 3) in [0, 1] by id."""
    raise NotImplementedError


@hookspec
def mdnbench_metrics() -> list[MetricSpec]:
    """Return quality metrics, which map a denoised and a clean image, both in [0, 1], to one number."""
    raise NotImplementedError


@hookspec
def mdnbench_reporters() -> list[ReporterSpec]:
    """Return reporters, which write the results of a run into a folder and return the path of the written file."""
    raise NotImplementedError

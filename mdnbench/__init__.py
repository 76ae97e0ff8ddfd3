"""mdnbench: benchmarks image denoisers and tells what is true.

A plugin imports what it needs from here; a notebook calls `mdnbench.run(...)`. Everything is imported on first use, so
that `import mdnbench` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that callers and plugins are checked against the real types
    from mdnbench.api import check as check
    from mdnbench.api import claims as claims
    from mdnbench.api import compare as compare
    from mdnbench.api import open_run as open_run
    from mdnbench.api import plan as plan
    from mdnbench.api import report as report
    from mdnbench.api import rescore as rescore
    from mdnbench.api import run as run
    from mdnbench.api import time as time
    from mdnbench.api import train as train
    from mdnbench.api import write_baseline as write_baseline
    from mdnbench.errors import MdnbenchError as MdnbenchError
    from mdnbench.errors import Unavailable as Unavailable
    from mdnbench.evaluation.adapters import numpy_denoiser as numpy_denoiser
    from mdnbench.planning.request import Request as Request
    from mdnbench.results import Results as Results
    from mdnbench.spec.deferred import deferred as deferred
    from mdnbench.spec.hookspecs import hookimpl as hookimpl
    from mdnbench.spec.names import Option as Option
    from mdnbench.spec.records import NoiseInfo as NoiseInfo
    from mdnbench.spec.specs import DataFile as DataFile
    from mdnbench.spec.specs import DatasetSpec as DatasetSpec
    from mdnbench.spec.specs import DenoiserSpec as DenoiserSpec
    from mdnbench.spec.specs import MetricSetting as MetricSetting
    from mdnbench.spec.specs import MetricSpec as MetricSpec
    from mdnbench.spec.specs import NoiseSpec as NoiseSpec
    from mdnbench.spec.specs import ReporterSpec as ReporterSpec
    from mdnbench.spec.specs import Trainable as Trainable
    from mdnbench.util.listener import Listener as Listener
    from mdnbench.wrappers.deepinv_model import wrap_deepinv as wrap_deepinv
    from mdnbench.wrappers.numpy_function import wrap_numpy as wrap_numpy
    from mdnbench.wrappers.onnx_file import wrap_onnx as wrap_onnx
    from mdnbench.wrappers.torch_module import wrap_torch as wrap_torch

__version__ = "0.1.0"

_HOMES = {
    "deferred": "mdnbench.spec.deferred",
    "hookimpl": "mdnbench.spec.hookspecs",
    "Option": "mdnbench.spec.names",
    "DataFile": "mdnbench.spec.specs",
    "DatasetSpec": "mdnbench.spec.specs",
    "DenoiserSpec": "mdnbench.spec.specs",
    "MetricSetting": "mdnbench.spec.specs",
    "MetricSpec": "mdnbench.spec.specs",
    "NoiseSpec": "mdnbench.spec.specs",
    "ReporterSpec": "mdnbench.spec.specs",
    "Trainable": "mdnbench.spec.specs",
    "NoiseInfo": "mdnbench.spec.records",
    "Unavailable": "mdnbench.errors",
    "MdnbenchError": "mdnbench.errors",
    "numpy_denoiser": "mdnbench.evaluation.adapters",
    "wrap_deepinv": "mdnbench.wrappers.deepinv_model",
    "wrap_numpy": "mdnbench.wrappers.numpy_function",
    "wrap_onnx": "mdnbench.wrappers.onnx_file",
    "wrap_torch": "mdnbench.wrappers.torch_module",
    "Listener": "mdnbench.util.listener",
    "Request": "mdnbench.planning.request",
    "Results": "mdnbench.results",
    "check": "mdnbench.api",
    "claims": "mdnbench.api",
    "compare": "mdnbench.api",
    "open_run": "mdnbench.api",
    "plan": "mdnbench.api",
    "report": "mdnbench.api",
    "rescore": "mdnbench.api",
    "run": "mdnbench.api",
    "time": "mdnbench.api",
    "train": "mdnbench.api",
    "write_baseline": "mdnbench.api",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mdnbench' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

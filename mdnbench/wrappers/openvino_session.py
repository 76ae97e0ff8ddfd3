"""Run ONNX files in OpenVINO on the CPU, in fp32, with as many threads as torch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mdnbench.errors import BadFile, Unavailable

if TYPE_CHECKING:
    import numpy as np

INSTALL = "pip install 'mdnbench[openvino]'"


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a file.

    Attributes:
        name: Its name.
    """

    name: str


class OpenvinoSession:
    """An ONNX file that OpenVINO has compiled for this processor.

    It is compiled again if torch's number of threads has changed: cells use one thread, timings use more.

    Args:
        path: The file.
        device: 'cpu'.

    Raises:
        Unavailable: OpenVINO is not installed, or the device is another one.
        BadFile: The file cannot be read.
    """

    def __init__(self, path: Path, device: str) -> None:
        if device != "cpu":
            raise Unavailable("OpenVINO computes on the CPU here; leave --device cuda out, or take another backend.")
        self._path, self._threads = path, 0
        self._model = self._ready()
        self.inputs = tuple(Input(each.any_name) for each in self._model.inputs)

    def run(self, feeds: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """Return the file's first output."""
        found: np.ndarray[Any, Any] = self._ready()(dict(feeds))[0]
        return found

    def _ready(self) -> Any:
        if self._threads != torch.get_num_threads():
            threads = torch.get_num_threads()
            self._model = _compiled(self._path, threads)
            self._threads = threads
        return self._model


def _package() -> Any:
    """Import OpenVINO without its telemetry, which would contact an analytics service."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # OpenVINO then does without it
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise Unavailable(f"openvino cannot be imported ({error}); install it with: {INSTALL}.") from error


def _compiled(path: Path, threads: int) -> Any:
    openvino = _package()
    wanted = {
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # it would pin the threads of every process to the same cores
        "ENABLE_HYPER_THREADING": True,  # torch counts such threads too
        "INFERENCE_PRECISION_HINT": "f32",  # it would take bfloat16 where the processor has it
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    try:
        return openvino.Core().compile_model(path, "CPU", wanted)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:400]
        raise BadFile(f"OpenVINO cannot read the ONNX file {path}: {reason}") from None

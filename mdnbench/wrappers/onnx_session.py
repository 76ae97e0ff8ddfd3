"""ONNX files in ONNX Runtime: on as many threads as torch has, by the provider that was asked for or not at all."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.errors import BadFile, Unavailable

if TYPE_CHECKING:
    import numpy as np

INSTALL = "pip install 'mdnbench[deploy]'"
# What computes, by the name that a person gives it: ONNX Runtime's names, the preferred one first, and what it takes.
PROVIDERS = {
    "cpu": (("CPUExecutionProvider",), INSTALL),
    "cuda": (("CUDAExecutionProvider",), "pip install onnxruntime-gpu in place of onnxruntime, with CUDA and cuDNN"),
    "tensorrt": (
        ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
        "pip install onnxruntime-gpu in place of onnxruntime, with CUDA, cuDNN and TensorRT",
    ),
}


class Session:
    """An ONNX file, open. It is opened anew where torch's number of threads has changed: cells have one, timings more.

    `provider` is 'auto', 'cuda' or 'tensorrt'; 'auto' is that of the device. Unavailable where it cannot be had: there
    is no falling back to another one.
    """

    def __init__(self, path: Path, device: str, provider: str = "auto") -> None:
        self._path, self._provider = path, _chosen(device, provider)
        self._threads, self._session = 0, None
        self.inputs = self._ready().get_inputs()

    def run(self, feeds: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """The file's first output."""
        found: np.ndarray[Any, Any] = self._ready().run(None, dict(feeds))[0]
        return found

    def _ready(self) -> Any:
        import torch

        if self._threads != torch.get_num_threads():
            self._threads = torch.get_num_threads()
            self._session = _opened(self._path, self._provider, self._threads)
        return self._session


def package(name: str) -> Any:
    """A package of the extra `deploy`; Unavailable where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unavailable(f"{name} cannot be imported ({error}); install it with: {INSTALL}.") from error


def _chosen(device: str, provider: str) -> str:
    """The provider's name in `PROVIDERS`; Unavailable where this onnxruntime lacks it, or the device is another one."""
    name = device if provider == "auto" else provider
    (wanted, *_), advice = PROVIDERS[name]
    available = package("onnxruntime").get_available_providers()
    if wanted not in available:
        raise Unavailable(f"this onnxruntime has no {wanted}, only {', '.join(available)}; {advice}.")
    if name != "cpu" and device == "cpu":
        raise Unavailable(f"{wanted} computes on a GPU; run it with --device cuda.")
    return name


def _opened(path: Path, provider: str, threads: int) -> Any:
    onnxruntime, (wanted, advice) = package("onnxruntime"), PROVIDERS[provider]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # errors: they are raised as well, and stderr is for people
    try:
        session = onnxruntime.InferenceSession(path, options, providers=list(wanted))
    except Exception as error:  # onnxruntime's own classes, one for each of its status codes
        reason = " ".join(str(error).split())[:400]
        raise BadFile(f"the ONNX file {path} cannot be read: {reason}") from None
    if wanted[0] not in session.get_providers():  # it was built in, but a library of it is missing here
        raise Unavailable(f"{wanted[0]} could not be started here; {advice}.")
    return session

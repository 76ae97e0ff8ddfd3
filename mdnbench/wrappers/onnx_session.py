"""Run ONNX files in ONNX Runtime with as many threads as torch, and only with the requested provider."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mdnbench.errors import BadFile, Unavailable

if TYPE_CHECKING:
    import numpy as np

INSTALL = "pip install 'mdnbench[deploy]'"
# The providers by the user's name: ONNX Runtime's names, the preferred one first, and how to install them.
PROVIDERS = {
    "cpu": (("CPUExecutionProvider",), INSTALL),
    "cuda": (("CUDAExecutionProvider",), "pip install onnxruntime-gpu in place of onnxruntime, with CUDA and cuDNN"),
    "tensorrt": (
        ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
        "pip install onnxruntime-gpu in place of onnxruntime, with CUDA, cuDNN and TensorRT",
    ),
}


class Session:
    """An open ONNX file.

    The file is opened again if torch's number of threads has changed: cells use one thread, timings use more. There is
    no fallback to another provider.

    Args:
        path: The file.
        device: 'cpu' or 'cuda'.
        provider: 'auto', 'cuda' or 'tensorrt'; 'auto' is the provider of the device.

    Raises:
        Unavailable: The provider is not available.
        BadFile: The file cannot be read.

    """

    def __init__(self, path: Path, device: str, provider: str = "auto") -> None:
        self._path, self._provider = path, _chosen(device, provider)
        self._threads, self._session = 0, None
        self.inputs = self._ready().get_inputs()

    def run(self, feeds: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """Return the file's first output."""
        found: np.ndarray[Any, Any] = self._ready().run(None, dict(feeds))[0]
        return found

    def _ready(self) -> Any:
        if self._threads != torch.get_num_threads():
            threads = torch.get_num_threads()
            self._session = _opened(self._path, self._provider, threads)
            self._threads = threads
        return self._session


def package(name: str) -> Any:
    """Return a package of the extra `deploy`; raise Unavailable if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unavailable(f"{name} cannot be imported ({error}); install it with: {INSTALL}.") from error


def _chosen(device: str, provider: str) -> str:
    """Return the provider's name in `PROVIDERS`.

    Raises:
        Unavailable: This onnxruntime lacks the provider, or the provider needs another device.

    """
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
    options.log_severity_level = 3  # only errors; warnings would appear on the user's terminal
    try:
        session = onnxruntime.InferenceSession(path, options, providers=list(wanted))
    except Exception as error:  # onnxruntime has a class of its own for each status code
        reason = " ".join(str(error).split())[:400]
        raise BadFile(f"the ONNX file {path} cannot be read: {reason}") from None
    # The provider is part of onnxruntime, but one of its libraries is missing.
    if wanted[0] not in session.get_providers():
        raise Unavailable(f"{wanted[0]} could not be started here; {advice}.")
    return session

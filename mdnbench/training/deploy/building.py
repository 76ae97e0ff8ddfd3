"""Build the deployment variants of learned methods as denoisers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mdnbench.errors import Unavailable
from mdnbench.registry import variants
from mdnbench.training.deploy import loaded_network, models
from mdnbench.training.deploy.export import feeds
from mdnbench.util import paths
from mdnbench.util.limits import MAX_COMPILED_SIZES
from mdnbench.wrappers import inference
from mdnbench.wrappers.onnx_session import Session
from mdnbench.wrappers.openvino_session import OpenvinoSession

if TYPE_CHECKING:
    from mdnbench.registry import Registry
    from mdnbench.spec.names import Named
    from mdnbench.spec.specs import Denoise, DenoiserSpec
    from mdnbench.weights import Weights
    from mdnbench.wrappers.inference import NetworkFunction

COMPILERS = ("g++", "clang++", "c++")


def build(known: Registry, spec: DenoiserSpec, named: Named, device: str, weights: Weights | None) -> Denoise:
    """Return a learned method as a denoiser, in the variant that its name requests.

    Args:
        known: The registry, for the training data and noises that int8 needs.
        spec: The learned method.
        named: The method with its options.
        device: The device to compute on.
        weights: The weights.

    Raises:
        Unavailable: There are no weights, or this machine cannot run the variant.
    """
    if weights is None:
        raise Unavailable(f"{spec.name} has no weights for this noise; train it first.")
    variant = variants.of(spec, named)
    if variant.onnx:
        path = models.obtain(known, spec, weights, variant.precision)
        if variant.backend == "openvino":
            return inference.denoiser(in_onnx(OpenvinoSession(path, device)), weights)
        return inference.denoiser(in_onnx(Session(path, device, variant.provider)), weights)
    module = loaded_network.filled(spec, weights)
    if variant.precision == "bf16":
        module = in_bfloat16(module, device)
    module = inference.placed(module, device)
    call = compiled(module, device) if variant.compile else module
    network = inference.in_torch(call)
    return inference.denoiser(_autocast(network, device) if variant.precision == "bf16" else network, weights)


def file_of(spec: DenoiserSpec, named: Named, weights: Weights) -> Path:
    """Return the file that a variant computes from: its ONNX file, or its weights."""
    variant = variants.of(spec, named)
    return models.path_of(spec, weights, variant.precision) if variant.onnx else weights.path


def in_onnx(session: Session | OpenvinoSession) -> NetworkFunction:
    """Return an open ONNX file as a network. Images pass through the CPU's memory to the session and back."""

    def network(planes: torch.Tensor, level: torch.Tensor | None) -> torch.Tensor:
        return torch.from_numpy(session.run(feeds(session, planes, level))).to(planes.device)

    return network


def in_bfloat16(module: torch.nn.Module, device: str) -> torch.nn.Module:
    """Convert a module's convolutions and linear layers to bfloat16, and return it.

    Raises:
        Unavailable: The processor would have to emulate bfloat16.
    """
    if not bfloat16_is_quick(device):
        raise Unavailable(
            "this processor has no instructions for bfloat16, and would take many times longer than in fp32; "
            "use another precision."
        )
    for each in module.modules():
        if isinstance(each, torch.nn.Conv2d | torch.nn.ConvTranspose2d | torch.nn.Linear):
            each.to(torch.bfloat16)
    return module


def bfloat16_is_quick(device: str) -> bool:
    """Return whether the processor or GPU has instructions for convolutions in bfloat16."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _autocast(network: NetworkFunction, device: str) -> NetworkFunction:
    def call(planes: torch.Tensor, level: torch.Tensor | None) -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16):
            return network(planes, level).float()

    return call


def compiler() -> str:
    """Return the path of the C++ compiler that torch.compile would use on the CPU, or '' if there is none."""
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else COMPILERS
    return next((found for each in wanted if (found := shutil.which(each))), "")


def compiled(module: torch.nn.Module, device: str) -> Any:
    """Return a module compiled by torch.compile.

    The compiled code is stored under MDNBENCH_HOME, by the number of threads.

    Raises:
        Unavailable: There is no C++ compiler or, on a GPU, no triton.
    """
    if device == "cpu" and not compiler():
        tried = os.environ.get("CXX") or ", ".join(COMPILERS)
        raise Unavailable(
            f"torch.compile needs a C++ compiler, and there is none here (looked for {tried}); install g++, or set CXX."
        )
    if device == "cuda" and not torch.utils._triton.has_triton():
        raise Unavailable("torch.compile needs triton on a GPU: pip install triton.")
    from torch._dynamo import config as graphs  # these two take seconds and 70 MB, and few methods are compiled
    from torch._inductor import config as kernels

    kernels.compile_threads = 1  # a cell has one process
    graphs.recompile_limit = graphs.accumulated_recompile_limit = MAX_COMPILED_SIZES
    graphs.fail_on_recompile_limit_hit = True  # otherwise it would continue uncompiled without a warning
    module.compile(dynamic=False)

    def call(*arguments: Any) -> Any:
        # compiled code contains the number of threads
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(paths.home() / "deploy" / f"compiled-{torch.get_num_threads()}")
        return module(*arguments)

    return call

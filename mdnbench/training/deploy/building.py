"""Variants of learned methods as denoisers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.errors import Unavailable
from mdnbench.registry import variants
from mdnbench.training.deploy import models, networks
from mdnbench.util import paths
from mdnbench.wrappers import inference
from mdnbench.wrappers.onnx_session import Session

if TYPE_CHECKING:
    import torch

    from mdnbench.registry import Registry
    from mdnbench.spec.names import Named
    from mdnbench.spec.specs import Denoise, DenoiserSpec
    from mdnbench.weights import Weights
    from mdnbench.wrappers.inference import Network

COMPILERS = ("g++", "clang++", "c++")
MOST_SIZES = 4096  # images of each size are compiled by themselves, so that none depends on which came before


def build(known: Registry, spec: DenoiserSpec, named: Named, device: str, weights: Weights | None) -> Denoise:
    """A learned method with its weights, as its name's variant asks; Unavailable where that cannot be had here."""
    if weights is None:
        raise Unavailable(f"{spec.name} has no weights for this noise; train it first.")
    variant = variants.of(spec, named)
    if variant.onnx:
        path = models.obtain(known, spec, weights, variant.precision)
        return inference.denoiser(in_onnx(path, device, variant.provider), weights)
    module = networks.filled(spec, weights)
    if variant.precision == "bf16":
        module = in_bfloat16(module, device)
    module = inference.placed(module, device)
    call = compiled(module, device) if variant.compile else module
    network = inference.in_torch(call)
    return inference.denoiser(_autocast(network, device) if variant.precision == "bf16" else network, weights)


def file_of(spec: DenoiserSpec, named: Named, weights: Weights) -> Path:
    """The file that a variant computes from: its ONNX file, or its weights."""
    variant = variants.of(spec, named)
    return models.path_of(spec, weights, variant.precision) if variant.onnx else weights.path


def in_onnx(path: Path, device: str, provider: str) -> Network:
    """An ONNX file as a network; images go to ONNX Runtime and come back through the CPU's memory."""
    import torch

    from mdnbench.training.deploy.export import feeds

    session = Session(path, device, provider)

    def network(planes: torch.Tensor, level: torch.Tensor | None) -> torch.Tensor:
        return torch.from_numpy(session.run(feeds(session, planes, level))).to(planes.device)

    return network


def in_bfloat16(module: torch.nn.Module, device: str) -> torch.nn.Module:
    """The module with its convolutions in bfloat16; Unavailable on a processor that would compute that step by step."""
    import torch

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
    """Whether torch computes convolutions in bfloat16 by the processor's or GPU's own means."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _autocast(network: Network, device: str) -> Network:
    import torch

    def call(planes: torch.Tensor, level: torch.Tensor | None) -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16):
            return network(planes, level).float()

    return call


def compiler() -> str:
    """The C++ compiler that torch.compile would use on the CPU, '' where there is none."""
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else COMPILERS
    return next((found for each in wanted if (found := shutil.which(each))), "")


def compiled(module: torch.nn.Module, device: str) -> Any:
    """The module through torch.compile; what is compiled is kept under MDNBENCH_HOME, by the number of threads.

    Unavailable where there is no C++ compiler (or, on a GPU, no triton).
    """
    import torch

    if device == "cpu" and not compiler():
        tried = os.environ.get("CXX") or ", ".join(COMPILERS)
        raise Unavailable(
            f"torch.compile needs a C++ compiler, and there is none here (looked for {tried}); install g++, or set CXX."
        )
    if device == "cuda" and not torch.utils._triton.has_triton():
        raise Unavailable("torch.compile needs triton on a GPU: pip install triton.")
    import torch._dynamo
    import torch._inductor.config

    torch._inductor.config.compile_threads = 1  # a cell has one process
    torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = MOST_SIZES
    torch._dynamo.config.fail_on_recompile_limit_hit = True  # it would go on uncompiled, without a word
    module.compile(dynamic=False)

    def call(*arguments: Any) -> Any:
        # a number of threads is written into what is compiled for it
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(paths.home() / "deploy" / f"compiled-{torch.get_num_threads()}")
        return module(*arguments)

    return call

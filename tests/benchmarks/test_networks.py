"""How much of what the processor's own convolutions reach the networks' inference reaches, on one thread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mdnbench import registry
from mdnbench.evaluation.adapters import to_tensor

pytestmark = pytest.mark.usefixtures("one_thread")
METHODS = ("unet", "masked-unet", "dncnn")
ROUNDS = 7


@dataclass(frozen=True)
class Convolution:
    """One call of a bare convolution, as the network makes it, and its multiply-adds."""

    call: Callable[[], Any]
    macs: int


@pytest.mark.full
@pytest.mark.parametrize("side", [64, 256, 512])
@pytest.mark.parametrize("method", METHODS)
def test_a_network_beside_its_bare_convolutions(
    method: str, side: int, learned: Any, benchmark: Any, figure: Any
) -> None:
    """A method's call does the multiply-adds of its convolutions and takes little longer than they do by themselves."""
    from torch.utils.flop_counter import FlopCounterMode

    call = learned(method, photograph(side))
    bare = convolutions(call)
    with FlopCounterMode(display=False) as counter:
        call()
    assert 2 * sum(each.macs for each in bare) == counter.get_total_flops()
    whole, alone = side_by_side(call, lambda: [each.call() for each in bare])
    benchmark.pedantic(call)
    if benchmark.enabled:
        macs = sum(each.macs for each in bare)
        least = 80 if side > 64 else None
        figure(f"{method} at {side}×{side}", macs / whole / 1e9, "G multiply-adds/s")
        figure(f"its bare convolutions at {side}×{side}", macs / alone / 1e9, "G multiply-adds/s")
        figure(f"{method} at {side}×{side} over its bare convolutions", 100 * alone / whole, "%", least=least)


def photograph(side: int) -> Any:
    """A noisy photograph (1, 1, side, side) at sigma 50."""
    clean = registry.load().datasets["sk12"].load("08")[:side, :side]
    noise = np.random.default_rng(3).standard_normal(clean.shape, dtype=np.float32) * np.float32(50 / 255)
    return to_tensor(clean + noise)


def convolutions(call: Callable[[], Any]) -> list[Convolution]:
    """The convolutions that a call makes, each by itself: the same shapes and layouts, on random numbers."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    made = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = operator(*args, **(kwargs or {}))
            if operator.overloadpacket in (torch.ops.aten.conv2d, torch.ops.aten.conv_transpose2d):
                made.append(bare(operator, args, kwargs or {}, result))
            return result

    def bare(operator: Any, args: Any, kwargs: Any, result: torch.Tensor) -> Convolution:
        image, kernel = (torch.randn_like(each) for each in args[:2])
        positions = (image if "transpose" in operator.name() else result)[:, 0].numel()
        return Convolution(lambda: operator(image, kernel, *args[2:], **kwargs), positions * kernel.numel())

    with Recorder():
        call()
    return made


def side_by_side(*calls: Callable[[], object]) -> list[float]:
    """The median seconds of each call, taken in turn so that a drift of the machine hits all alike."""
    import torch

    seconds: list[list[float]] = [[] for _ in calls]
    with torch.inference_mode():
        for each in calls:
            each()
        for _ in range(ROUNDS):
            for each, taken in zip(calls, seconds, strict=True):
                start = time.perf_counter()
                each()
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]

"""The processes that train one network together, started by torchrun, one per GPU.

Each process draws the whole batch and computes on its own rows of it. So crops, noise and masks are the same as in a
single process. Gradients are averaged before each step. The first process decides, by its clock, and writes. In a
process that trains alone, the functions here do nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from mdnbench.errors import UsageError
from mdnbench.training.distributed_ops import RankMean, share_norms
from mdnbench.training.rng import TorchRng
from mdnbench.util.limits import RANK_WAIT_S

if TYPE_CHECKING:
    Rows = TypeVar("Rows", bound=torch.Tensor | None)
T = TypeVar("T")

_joined = itertools.count()  # counts how often this process has joined


def launched() -> bool:
    """Return whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def first() -> bool:
    """Return whether this is the process that decides, writes and reports."""
    return not launched() or os.environ["RANK"] == "0"


@contextlib.contextmanager
def joined(device: str) -> Iterator[None]:
    """Train together with the other processes that torchrun started, inside the context.

    On `cuda`, each process has its own GPU. Without torchrun, this does nothing.

    Raises:
        UsageError: There are too few GPUs.
    """
    if not launched():
        yield
        return
    if distributed.is_initialized():
        yield
        return
    if device == "cuda":
        place, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if place >= there:
            started = os.environ["LOCAL_WORLD_SIZE"]
            raise UsageError(f"{started} processes were started here, but there are GPUs for {there}: one for each.")
        torch.cuda.set_device(place)
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    store, rank, size = next(rendezvous("env://"))
    # torchrun has one store for all groups: without its own name, a group would find the addresses of an earlier group.
    own = PrefixStore(f"mdnbench-{os.environ['TORCHELASTIC_RESTART_COUNT']}-{next(_joined)}", store)
    distributed.init_process_group(
        backend, timeout=timedelta(seconds=RANK_WAIT_S), store=own, rank=rank, world_size=size
    )
    yield  # after an error, do not destroy the group: others may be waiting, and torchrun ends them
    distributed.destroy_process_group()


def count() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def check(batch: int) -> None:
    """Check that a batch can be divided equally among the processes.

    Raises:
        UsageError: It cannot.
    """
    if batch % count():
        raise UsageError(
            f"a batch of {batch} crops cannot be shared equally by {count()} processes; start another number of them, "
            "or change the recipe's batch (--set batch=…)."
        )


def check_step(step: int) -> None:
    """Check that this process continues from the same step as the first one.

    Raises:
        UsageError: It does not, because the machines do not share a folder.
    """
    if (other := agreed(step)) != step:
        raise UsageError(
            f"this process would go on from step {step}, the first one from step {other:.0f}: on several machines, "
            "MDNBENCH_HOME must be a folder that they share."
        )


def agreed(value: float) -> float:
    """Return the number that the first process passes, in all processes."""
    if count() == 1:
        return value
    shared = torch.tensor(float(value), dtype=torch.float64)  # on the CPU, to avoid waiting for a GPU
    distributed.broadcast(shared, 0)
    return shared.item()


def broadcast(value: T | None) -> T:
    """Return the value that the first process passes, in all processes. The others pass None and wait."""
    if count() == 1:
        return cast(T, value)
    given = [value]
    distributed.broadcast_object_list(given, 0, device=torch.device("cpu"))
    return cast(T, given[0])


def prepared(network: torch.nn.Module) -> torch.nn.Module:
    """Return an untrained network that is the same in all processes and normalises batches over all of them."""
    if count() > 1:
        share_norms(network)
        for value in network.state_dict().values():
            distributed.broadcast(value, 0)  # other processors may draw other weights from the same seed
    return network


def reseed(seed: int, step: int) -> None:
    """Seed torch's generators differently in each process, so dropout differs.

    The first process keeps its generator.
    """
    if count() > 1 and not first():
        torch.manual_seed((seed * 1_000_003 + step) * distributed.get_world_size() + distributed.get_rank())


def share(whole: Rows) -> Rows:
    """Return this process's rows of a batch: (B, …) becomes (B / processes, …)."""
    if whole is None or count() == 1:
        return whole

    return cast("Rows", whole.chunk(distributed.get_world_size())[distributed.get_rank()])


def mean(value: torch.Tensor) -> torch.Tensor:
    """Return the mean of a tensor over all processes. Gradients pass through it.

    A loss needs this if it divides by something other than its number of pixels, such as the number of hidden ones.
    """
    if count() == 1:
        return value

    averaged: torch.Tensor = RankMean.apply(value)  # type: ignore[no-untyped-call]
    return averaged


def averaged(loss: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
    """Return the mean loss over all processes, and replace the gradients by their means."""
    if count() == 1:
        return loss
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    values = [*gradients, loss]
    flat = torch.cat([value.flatten() for value in values])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    parts: tuple[torch.Tensor, ...] = torch.split(flat, [value.numel() for value in values])
    for gradient, part in zip(gradients, parts, strict=False):
        gradient.copy_(part.view_as(gradient))
    return parts[-1].reshape(())


class SharedRng(TorchRng):
    """A generator that draws for the whole batch and returns this process's rows. Rows are the first dimension."""

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Return standard normal numbers."""
        return share(super().normal(_whole(shape)))

    def uniform(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Return numbers that are uniform in [0, 1)."""
        return share(super().uniform(_whole(shape)))

    def poisson(self, rate: torch.Tensor) -> torch.Tensor:
        """Return Poisson counts for each entry of `rate`."""
        if count() == 1:
            return super().poisson(rate)
        rate = rate.contiguous()
        rates: list[Any] = [torch.empty_like(rate) for _ in range(count())]
        distributed.all_gather(rates, rate)
        return share(super().poisson(torch.cat(rates)))


def _whole(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0] * count(), *shape[1:]) if shape else shape

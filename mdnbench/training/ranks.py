"""The processes that train one network together, as torchrun starts them: one per GPU.

Each draws the whole batch and computes on its own rows of it, so that patches, noise and masks are those of one
process; gradients are averaged before each step. The first process decides, by its clock, and writes. In a process that
trains alone, all of this is nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mdnbench.errors import UsageError
from mdnbench.evaluation.rng import TorchRng

if TYPE_CHECKING:
    import torch

    Rows = TypeVar("Rows", bound=torch.Tensor | None)
T = TypeVar("T")

PATIENCE = timedelta(hours=2)  # for the first process's download and search for leaks; torchrun ends who waits in vain
_joined = itertools.count()  # how often this process has joined


def launched() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def first() -> bool:
    """Whether this is the process that decides, writes and speaks."""
    return not launched() or os.environ["RANK"] == "0"


@contextlib.contextmanager
def joined(device: str) -> Iterator[None]:
    """Train together in here with the processes that torchrun started beside this one, if it did.

    On `cuda` each process has a GPU of its own; UsageError where there are too few.
    """
    if not launched():
        yield
        return
    import torch
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

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
    # Torchrun keeps one store for all: without a name of its own, a group finds the addresses of one that is gone.
    own = PrefixStore(f"mdnbench-{os.environ['TORCHELASTIC_RESTART_COUNT']}-{next(_joined)}", store)
    distributed.init_process_group(backend, timeout=PATIENCE, store=own, rank=rank, world_size=size)
    yield  # after an error there is no farewell: others may be waiting for this process, which torchrun ends
    distributed.destroy_process_group()


def count() -> int:
    """How many processes train together."""
    from torch import distributed

    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def check(batch: int) -> None:
    """UsageError where a batch has not the same number of crops for every process."""
    if batch % count():
        raise UsageError(
            f"a batch of {batch} crops cannot be shared equally by {count()} processes; start another number of them, "
            "or change the recipe's batch (--set batch=…)."
        )


def check_step(step: int) -> None:
    """UsageError where this process would go on from another step than the first one."""
    if (other := agreed(step)) != step:
        raise UsageError(
            f"this process would go on from step {step}, the first one from step {other:.0f}: on several machines, "
            "MDNBENCH_HOME must be a folder that they share."
        )


def agreed(value: float) -> float:
    """The first process's value, in all of them."""
    if count() == 1:
        return value
    import torch
    from torch import distributed

    shared = torch.tensor(float(value), dtype=torch.float64)  # on the CPU, so that no GPU is waited for
    distributed.broadcast(shared, 0)
    return shared.item()


def told(value: T | None) -> T:
    """What the first process gives, in all of them; the others give None, and wait."""
    if count() == 1:
        return cast(T, value)
    import torch
    from torch import distributed

    given = [value]
    distributed.broadcast_object_list(given, 0, device=torch.device("cpu"))
    return cast(T, given[0])


def prepared(network: torch.nn.Module) -> torch.nn.Module:
    """An untrained network, the same in all processes, whose batch normalisation goes over all of them."""
    if count() > 1:
        from torch import distributed

        from mdnbench.training.reducing import share_norms

        share_norms(network)
        for value in network.state_dict().values():
            distributed.broadcast(value, 0)  # other processors may have drawn other weights from the same seed
    return network


def reseed(seed: int, step: int) -> None:
    """Let dropout differ between processes; those after the first have nothing to remember for a later day."""
    if count() > 1 and not first():
        import torch
        from torch import distributed

        torch.manual_seed((seed * 1_000_003 + step) * distributed.get_world_size() + distributed.get_rank())


def share(whole: Rows) -> Rows:
    """The rows of this process, of a batch (B, …): (B / processes, …)."""
    if whole is None or count() == 1:
        return whole
    from torch import distributed

    return cast("Rows", whole.chunk(distributed.get_world_size())[distributed.get_rank()])


def mean(value: torch.Tensor) -> torch.Tensor:
    """The mean of a tensor over all processes; gradients pass through it.

    A loss needs it that divides by something other than its number of pixels, as by how many are hidden.
    """
    if count() == 1:
        return value
    from mdnbench.training.reducing import Mean

    averaged: torch.Tensor = Mean.apply(value)  # type: ignore[no-untyped-call]
    return averaged


def averaged(loss: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
    """The loss's mean over all processes; the gradients become theirs as well."""
    if count() == 1:
        return loss
    import torch
    from torch import distributed

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
    """Draws for the whole batch, the first dimension of every shape, and gives this process its rows."""

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Standard normal numbers."""
        return share(super().normal(_whole(shape)))

    def uniform(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Numbers uniform in [0, 1)."""
        return share(super().uniform(_whole(shape)))

    def poisson(self, rate: torch.Tensor) -> torch.Tensor:
        """Poisson counts for each entry of `rate`."""
        if count() == 1:
            return super().poisson(rate)
        import torch
        from torch import distributed

        rate = rate.contiguous()
        rates: list[Any] = [torch.empty_like(rate) for _ in range(count())]
        distributed.all_gather(rates, rate)
        return share(super().poisson(torch.cat(rates)))


def _whole(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0] * count(), *shape[1:]) if shape else shape

"""The state that all code of a process shares: read it, compare it, and restore it after a plugin has changed it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mdnbench.engine import matmul_precision, threads

# Switches of torch.backends that choose between implementations whose results differ in the last digits.
SWITCHES = (
    ("mkldnn", "enabled"), ("cudnn", "enabled"), ("cudnn", "benchmark"), ("cudnn", "deterministic"),
)  # fmt: skip
RANDOM = ("random", "numpy.random", "torch")


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What a plugin could change for all other code in its process. NAMES explains the fields."""

    folder: str
    environment: dict[str, str]
    errors: dict[str, Any]
    dtype: str
    threads: int
    grad: bool
    deterministic: bool
    precision: dict[str, str]
    device: str
    backends: dict[str, bool]
    random: dict[str, int]


NAMES = {
    "folder": "the working directory",
    "environment": "the environment variables",
    "errors": "NumPy's handling of errors (np.seterr)",
    "dtype": "torch's default dtype",
    "threads": "torch's number of threads",
    "grad": "torch's gradient mode",
    "deterministic": "torch's deterministic mode",
    "precision": "torch's precision of float32 products",
    "device": "torch's default device",
    "backends": "torch's backends",
    "random": "the global random numbers",
}


def now() -> ProcessState:
    """Return the current state."""
    import torch

    streams = {
        "random": hash(random.getstate()),
        "numpy.random": hash(str(np.random.get_state())),
        "torch": hash(torch.get_rng_state().numpy().tobytes()),
    }
    return ProcessState(
        os.getcwd(),  # noqa: PTH109 (Path.cwd() is the same)
        dict(os.environ),
        dict(np.geterr()),
        str(torch.get_default_dtype()),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        matmul_precision.now(),
        str(torch.get_default_device()),
        {f"{module}.{switch}": bool(getattr(getattr(torch.backends, module), switch)) for module, switch in SWITCHES},
        streams,
    )


def restore(was: ProcessState, seed: int = 0) -> None:
    """Restore the state, environment variables included, and set every library back to its number of threads.

    Args:
        was: The state to restore.
        seed: The new seed of the global random number generators.
    """
    for name in os.environ.keys() - was.environment.keys():
        del os.environ[name]
    os.environ.update(was.environment)
    clean(was, seed)


def clean(was: ProcessState, seed: int) -> None:
    """Restore everything that could change a number, except for environment variables, which a plugin may need again.

    Every library is set back to one thread.

    Args:
        was: The state to restore.
        seed: The new seed of the global random number generators.
    """
    import torch

    os.chdir(was.folder)  # always, because reading the current folder fails if a plugin has removed it
    np.seterr(**was.errors)
    torch.set_default_dtype(getattr(torch, was.dtype.removeprefix("torch.")))
    torch.set_grad_enabled(was.grad)
    if torch.are_deterministic_algorithms_enabled() != was.deterministic:  # setting it imports torch's compiler, 70 MiB
        torch.use_deterministic_algorithms(was.deterministic)
    matmul_precision.restore(was.precision)
    if str(torch.get_default_device()) != was.device:
        torch.set_default_device(None if was.device == "cpu" else was.device)
    for module, switch in SWITCHES:
        backend, value = getattr(torch.backends, module), was.backends[f"{module}.{switch}"]
        if getattr(backend, switch) != value:
            setattr(backend, switch, value)
    torch.set_flush_denormal(False)  # always, because torch does not report its value
    random.seed(seed)
    np.random.seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.manual_seed(seed)
    else:  # with no GPU in use, torch.manual_seed records a stack trace for later, half the time of a small cell
        torch.default_generator.manual_seed(seed)
    threads.hold()


def differences(before: ProcessState, after: ProcessState, *, leave_out: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a description of each part of the state that changed.

    Args:
        before: The state before.
        after: The state after.
        leave_out: The names of fields to ignore.
    """
    for field in fields(ProcessState):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old != new and field.name not in leave_out:
            yield NAMES[field.name] + _how(old, new)


def _how(old: Any, new: Any) -> str:
    if not isinstance(old, dict):
        return f" (from {old} to {new})"
    return f" ({', '.join(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))})"

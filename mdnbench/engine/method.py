"""The code that runs inside a method process: it imports the plugin of one method, builds the method and runs it.

It receives noisy images, and the information about the noise that the method wants. It never receives clean images or
scores.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import registry
from mdnbench.engine import orders, process_state, threads
from mdnbench.engine.tasks import Job
from mdnbench.errors import BadPlugin
from mdnbench.evaluation import adapters, outputs
from mdnbench.registry import variants
from mdnbench.registry.file_usage import Usage
from mdnbench.spec.names import printable
from mdnbench.util.limits import MAX_BUILD_NOTES
from mdnbench.util.untrusted import cut

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.registry import SpecTable
    from mdnbench.registry.variants import Variant
    from mdnbench.spec.records import NoiseInfo, UsedFile
    from mdnbench.spec.specs import Denoise, DenoiserSpec, Image


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process starts with.

    Attributes:
        device: The device to compute on, "cpu" or "cuda".
        watched: The folders in which opened files are noted.
        variables: Environment variables to set.
        revisions: The revisions of methods, noises and metrics when the run was planned, by kind and name. A spec with
            another revision is not used.
        threads: The number of threads.
    """

    device: str
    watched: tuple[Path, ...] = ()
    variables: Mapping[str, str] | None = None
    revisions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Denoised:
    """The result of denoising one image.

    Attributes:
        image: The output, float32 (H, W) or (H, W, 3); None if its form breaks the contract.
        seconds: The time that the call of the method took.
        problem: How the output breaks the contract, if `image` is None.
        used: The files that the process has used so far; None if they are the same as in its last result.
        opened: The files that the process has opened for reading since its last result.
        notes: What the wrappers of mdnbench have logged while the method was built, with its first result.
    """

    image: Image | None
    seconds: float
    problem: str = ""
    used: tuple[UsedFile, ...] | None = None
    opened: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


class MethodOrders:
    """A worker that runs the method of a job.

    Its public methods are the orders that the process takes.
    """

    def __init__(self, job: Job, settings: Settings) -> None:
        self.job = job
        self.settings = settings
        self._before = process_state.now()  # the state of this process before any plugin ran in it
        self._usage = _begin_usage(job, settings)
        self._told: tuple[UsedFile, ...] | None = None
        self._denoise: Denoise | None = None
        self._spec: DenoiserSpec | None = None
        self._notes: tuple[str, ...] = ()

    @property
    def spec(self) -> DenoiserSpec:
        """Return the specification of the method, from its plugin."""
        if self._spec is None:
            assert self.job.method_source is not None
            shelf = registry.load_source(self.job.method_source).denoisers
            self._spec = planned(shelf, self.job.method.name, self.settings)
            if self._usage:
                self._usage.declare(self._spec, self.job.method_source)
        return self._spec

    @property
    def variant(self) -> Variant:
        """Return how the method is deployed."""
        return variants.of(self.spec, self.job.method)

    @property
    def denoise_function(self) -> Denoise:
        """Return the method's function, which is built at the first access."""
        if self._denoise is None:
            self.clean(0)
            with _logged() as notes:
                self._denoise = self._build()
            self._notes = tuple(notes)
        return self._denoise

    def clean(self, seed: int) -> None:
        """Restore the process state that a call of the method may have changed.

        Args:
            seed: The seed for the global random number generators.
        """
        process_state.clean(self._before, seed)

    def prepare(self) -> None:
        """Do what the method needs once on a machine before it is built."""
        if self.spec.prepare:
            self.spec.prepare(variants.own(self.spec, self.job.method), True)

    def _build(self) -> Denoise:
        if not variants.stabilises(self.spec, self.job.method):
            return self._build_own()
        from mdnbench.wrappers.stabilisation.layer import Stabilised

        return Stabilised(self._build_own(), self.spec.wants)

    def _build_own(self) -> Denoise:
        """Return the method's function without stabilisation."""
        job, spec, device = self.job, self.spec, self.settings.device
        if self.variant.plain:
            return spec.build(variants.own(spec, job.method), device, job.weights)
        from mdnbench.training.deploy import building

        # Making the file of a variant takes a noise and a data set of ours.
        return building.build(registry.ours(), spec, job.method, device, job.weights)

    def denoise(self, noisy: Image, info: NoiseInfo, seed: int) -> Denoised:
        """Denoise an image and measure the time.

        Args:
            noisy: The noisy image, float32 (H, W) or (H, W, 3).
            info: What the method may know about the noise.
            seed: The seed for the global random number generators, which the method may use.
        """
        import torch

        denoise = self.denoise_function
        self.clean(seed)  # after the method is built, which happens in some cells only
        given = adapters.to_tensor(noisy).to(self.settings.device)  # (1, C, H, W)
        original = given.clone()
        with torch.no_grad():
            synchronise(self.settings.device)
            start = time.perf_counter()
            output = denoise(given, info)
            synchronise(self.settings.device)
            seconds = time.perf_counter() - start
        try:
            image = adapters.to_numpy(outputs.check_form(output, given, original))
        except outputs.InvalidOutput as error:
            return Denoised(None, seconds, str(error), *self._news())
        notes, self._notes = self._notes, ()
        return Denoised(image, seconds, "", *self._news(), notes)

    def used(self) -> tuple[UsedFile, ...]:
        """Return the files that the process has used so far."""
        return self._without_weights(self._usage.files()) if self._usage else ()

    def _news(self) -> tuple[tuple[UsedFile, ...] | None, tuple[Path, ...]]:
        if self._usage is None:
            return None, ()
        used = self._usage.files()
        news = None if used is self._told else self._without_weights(used)
        self._told = used
        return news, self._usage.opened()

    def _without_weights(self, used: tuple[UsedFile, ...]) -> tuple[UsedFile, ...]:
        """Return the files without the weights that the job names.

        The job's key has their digest, and their path varies.
        """
        if self.job.weights is None:
            return used
        digest = self.job.weights.sha256
        return tuple(file for file in used if file.content != digest)


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """Yield a list of what mdnbench's wrappers log in the `with` block, such as the state that a checkpoint gave."""
    found: list[str] = []
    logger = logging.getLogger("mdnbench.wrappers")
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: found.append(printable(cut(record.getMessage())))  # type: ignore[method-assign]
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield found
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        del found[MAX_BUILD_NOTES:]


def _begin_usage(job: Job, settings: Settings) -> Usage | None:
    if job.method_source is None:
        return None
    usage = Usage(job.method_source.root, job.packages, settings.watched)
    usage.begin()
    return usage


def planned(shelf: SpecTable[Any], name: str, settings: Settings) -> Any:
    """Return the spec of a plugin by its name.

    Args:
        shelf: The plugin's specs of one kind.
        name: The name of the spec.
        settings: The settings with the planned revisions.

    Raises:
        BadPlugin: The revision of the spec is not the planned one.
    """
    entry, expected = shelf.entry(name), settings.revisions.get((shelf.kind, name))
    if expected is not None and entry.spec.revision != expected:
        raise BadPlugin(
            f"the {shelf.kind} {name!r} of {entry.source.address}, or a file that it is made of, has changed since the "
            "run was planned; put the former file back, or run again with the new one."
        )
    return entry.spec


def synchronise(device: str) -> None:
    """Wait until the device has finished, because a clock that is read earlier is wrong."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def begin(settings: Settings) -> None:
    """Prepare this process for computing: set its environment variables and its number of threads."""
    os.environ.update(settings.variables or {})
    threads.prepare(settings.threads)
    threads.hold(settings.threads)


def serve(connection: Connection, job: Job, settings: Settings) -> None:
    """Take orders for the method of a job, until the connection is closed."""

    def make() -> MethodOrders:
        begin(settings)
        return MethodOrders(job, settings)

    orders.serve(connection, make)

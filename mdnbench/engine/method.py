"""The inside of a method process: it imports the plugin of one method, builds it, and denoises what it is given.

It sees noisy images and what the method asks to know of the noise; clean images and scores never come here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench.engine import orders, state, threads
from mdnbench.engine.tasks import Job
from mdnbench.errors import BadPlugin
from mdnbench.registry import variants

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.registry import Shelf
    from mdnbench.registry.usage import Usage
    from mdnbench.registry.variants import Variant
    from mdnbench.spec.records import NoiseInfo, UsedFile
    from mdnbench.spec.specs import Denoise, DenoiserSpec, Image


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process begins with: device, folders to watch, variables, revisions, number of threads.

    `revisions` are those of methods, noises and metrics when the run was planned: what has another one is not used.
    """

    device: str
    watched: tuple[Path, ...] = ()
    variables: Mapping[str, str] | None = None
    revisions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Denoised:
    """What a method made of a noisy image: float32 (H, W) or (H, W, 3), and the seconds that its call took.

    `image` is None where the output breaks the contract in its form, as `problem` says. `used` are the files that the
    process has used so far, None if they are those that it told last; `opened` are the files that it has opened for
    reading since then.
    """

    image: Image | None
    seconds: float
    problem: str = ""
    used: tuple[UsedFile, ...] | None = None
    opened: tuple[Path, ...] = ()


class Method:
    """The method of a job, in a process of its own. Its public methods are the orders that the process takes."""

    def __init__(self, job: Job, settings: Settings) -> None:
        self.job = job
        self.settings = settings
        self._before = state.now()  # of this process, when no plugin had run in it
        self._usage = _begin_usage(job, settings)
        self._told: tuple[UsedFile, ...] | None = None
        self._denoise: Denoise | None = None
        self._spec: DenoiserSpec | None = None

    @property
    def spec(self) -> DenoiserSpec:
        """What the method is, as its plugin says."""
        if self._spec is None:
            from mdnbench import registry

            assert self.job.method_door is not None
            shelf = registry.load_source(self.job.method_door).denoisers
            self._spec = planned(shelf, self.job.method.name, self.settings)
        return self._spec

    @property
    def variant(self) -> Variant:
        """How the method is deployed."""
        return variants.of(self.spec, self.job.method)

    @property
    def denoise_function(self) -> Denoise:
        """The method, built when it is first asked for."""
        if self._denoise is None:
            self.clean(0)
            self._denoise = self._build()
        return self._denoise

    def clean(self, seed: int) -> None:
        """Put back what a call of the method may have changed for the next one."""
        state.clean(self._before, seed)

    def _build(self) -> Denoise:
        job, spec, device = self.job, self.spec, self.settings.device
        if self.variant.plain:
            return spec.build(variants.own(spec, job.method), device, job.weights)
        from mdnbench import registry
        from mdnbench.training.deploy import building

        # The file of a variant may have to be made, which takes a noise and a data set of ours.
        return building.build(registry.ours(), spec, job.method, device, job.weights)

    def denoise(self, noisy: Image, info: NoiseInfo, seed: int) -> Denoised:
        """Denoise an image (H, W) or (H, W, 3); `seed` is for random numbers that come from the global generators."""
        import torch

        from mdnbench.evaluation import adapters, outputs

        denoise = self.denoise_function
        self.clean(seed)  # after the building, which happens in some cells and not in others
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
        return Denoised(image, seconds, "", *self._news())

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
        """Leave out the weights that the job names: their digest is in its key, and their place differs by machine."""
        if self.job.weights is None:
            return used
        digest = self.job.weights.sha256
        return tuple(file for file in used if file.content != digest)


def _begin_usage(job: Job, settings: Settings) -> Usage | None:
    from mdnbench.registry.usage import Usage

    if job.method_door is None:
        return None
    usage = Usage(job.method_door.root, job.packages, settings.watched)
    usage.begin()
    return usage


def planned(shelf: Shelf[Any], name: str, settings: Settings) -> Any:
    """Return what a source brings by this name; BadPlugin if its revision is not the one that was planned."""
    entry, expected = shelf.entry(name), settings.revisions.get((shelf.kind, name))
    if expected is not None and entry.spec.revision != expected:
        raise BadPlugin(
            f"the {shelf.kind} {name!r} of {entry.door.address}, or a file that it is made of, has changed since the "
            "run was planned; put the former file back, or run again with the new one."
        )
    return entry.spec


def synchronise(device: str) -> None:
    """Wait for the device, so that a clock read after it is true."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def begin(settings: Settings) -> None:
    """Set up this process for computing: its environment, and so many threads."""
    os.environ.update(settings.variables or {})
    threads.prepare(settings.threads)
    threads.hold(settings.threads)


def serve(connection: Connection, job: Job, settings: Settings) -> None:
    """Take orders for the method of a job."""

    def make() -> Method:
        begin(settings)
        return Method(job, settings)

    orders.serve(connection, make)

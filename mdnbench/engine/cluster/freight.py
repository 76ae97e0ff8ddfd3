"""What travels to workers that share no folder with the coordinator: each piece once per Dask worker."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import data, variants
from mdnbench.engine.tasks import Job, Setup, Task
from mdnbench.store.kept import path_of

if TYPE_CHECKING:
    from mdnbench.planning import Plan
    from mdnbench.registry.discovery import Door
    from mdnbench.weights import Weights

CHUNK_BYTES = 4 << 20
IMAGES = Path("images")
DATA = Path("data")
HOME = Path("home")
FOLDER_PLUGINS = Path("plugins", "folder")


@dataclass(frozen=True, slots=True)
class Piece:
    """A file for the worker: its name below the worker's folder, and what gives its content, part by part."""

    name: str
    parts: Callable[[], Iterator[bytes]]


class Freight:
    """The pieces of a run."""

    def __init__(self, plan: Plan, setup: Setup, metrics: Sequence[str]) -> None:
        self._plan = plan
        self._here = setup
        self._metrics = metrics
        self._encoded = lru_cache(maxsize=4)(self._encode)

    @cached_property
    def setup(self) -> Setup:
        """The set-up with all paths below a worker's folder, where `settled` finds them."""
        plugins = tuple(_plugin(door) for door in self._doors if door.path in self._here.plugins)
        jobs = tuple(map(_with_weights_sent, self._here.jobs))
        return dataclasses.replace(self._here, plugins=plugins, jobs=jobs, images=IMAGES, dataset="")

    def first(self) -> Iterator[Piece]:
        """What a worker needs before it can show its passport: files of plugins, and those that metrics read."""
        for door in self._doors:
            assert door.path is not None
            given = door.path in self._here.plugins
            name = _plugin(door) if given else FOLDER_PLUGINS / door.path.name
            yield Piece(name.as_posix(), partial(_of_file, door.path))
        for place, path in self._read_by_metrics.items():
            yield Piece((DATA / place).as_posix(), partial(_of_file, path))

    def of(self, tasks: Sequence[Task]) -> Iterator[Piece]:
        """What these tasks need: clean images, kept outputs, weights."""
        for task in tasks:
            digest = task.cell.image_digest
            yield Piece(path_of(IMAGES, digest).as_posix(), partial(self._of_image, task.cell.image))
            if task.kept:
                yield Piece(path_of(IMAGES, task.kept.stem).as_posix(), partial(_of_file, task.kept))
            if weights := self._here.jobs[task.job].weights:
                yield Piece(_weights(weights.sha256).as_posix(), partial(_of_file, weights.path))
                yield from self._made_of(task.job, weights)

    def _made_of(self, job: int, weights: Weights) -> Iterator[Piece]:
        """The ONNX file that was made of weights, and its digest, where the job's method computes from one."""
        method = self._here.jobs[job].method
        spec = self._plan.registry.denoisers[method.name]
        variant = variants.of(spec, method)
        if variant.onnx:
            from mdnbench.deploy import models

            path = models.path_of(spec, weights, variant.precision)
            for each in (path, path.with_suffix(".sha256")):
                if each.is_file():
                    yield Piece((HOME / "deploy" / each.name).as_posix(), partial(_of_file, each))

    @cached_property
    def _doors(self) -> tuple[Door, ...]:
        """The doors of plugins in files."""
        known = self._plan.registry
        shelves = (known.denoisers, known.noises, known.datasets, known.metrics, known.reporters)
        doors = {shelf.entry(name).door: None for shelf in shelves for name in shelf}
        return tuple(door for door in doors if door.path)

    @cached_property
    def _read_by_metrics(self) -> dict[str, Path]:
        with data.noting() as noted:
            for name in self._metrics:
                prepare = self._plan.metrics[name].prepare
                if prepare:
                    prepare(False)
        return noted

    def _of_image(self, image: str) -> Iterator[bytes]:
        content = self._encoded(image)
        for start in range(0, len(content), CHUNK_BYTES):
            yield content[start : start + CHUNK_BYTES]

    def _encode(self, image: str) -> bytes:
        import numpy as np

        content = io.BytesIO()
        np.save(content, self._plan.dataset.load(image), allow_pickle=False)
        return content.getvalue()


def settled(setup: Setup, folder: Path, variables: dict[str, str]) -> Setup:
    """A set-up that has travelled, with its paths below this folder of the worker."""
    assert setup.images is not None
    jobs = tuple(
        dataclasses.replace(job, weights=dataclasses.replace(job.weights, path=folder / job.weights.path))
        if job.weights
        else job
        for job in setup.jobs
    )
    plugins = tuple(folder / path for path in setup.plugins)
    return dataclasses.replace(setup, plugins=plugins, jobs=jobs, images=folder / setup.images, variables=variables)


def settled_task(task: Task, folder: Path) -> Task:
    """A task that has travelled: its kept output is the copy in this folder of the worker."""
    return dataclasses.replace(task, kept=path_of(folder / IMAGES, task.kept.stem)) if task.kept else task


def _with_weights_sent(job: Job) -> Job:
    if job.weights is None:
        return job
    return dataclasses.replace(job, weights=dataclasses.replace(job.weights, path=_weights(job.weights.sha256)))


def _weights(digest: str) -> Path:
    return Path("weights", f"{digest}.safetensors")


def _plugin(door: Door) -> Path:
    """A folder of its own for each plugin's file, which keeps its name."""
    assert door.path is not None
    return Path("plugins", door.digest, door.path.name)


def _of_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(CHUNK_BYTES):
            yield part

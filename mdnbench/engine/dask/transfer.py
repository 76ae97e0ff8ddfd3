"""The transfer of files to workers that share no folder with the coordinator: each worker gets each file once."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdnbench import data
from mdnbench.engine.tasks import Job, Setup, Task
from mdnbench.registry import declared_files, variants
from mdnbench.registry.file_origin import too_wide
from mdnbench.store.stored_images import path_of
from mdnbench.util.limits import MAX_FILES_BESIDE_PLUGIN

if TYPE_CHECKING:
    from mdnbench.planning import Plan
    from mdnbench.registry import SpecTable
    from mdnbench.registry.discovery import PluginSource
    from mdnbench.weights import Weights

CHUNK_BYTES = 4 << 20
IMAGES = Path("images")
DATA = Path("data")
HOME = Path("home")
PLUGINS = Path("plugins")
MARK = "pyproject.toml"  # an empty file of this name marks the root folder of a plugin that has no such file


@dataclass(frozen=True, slots=True)
class TransferFile:
    """A file for a worker.

    Attributes:
        name: The path below the worker's folder.
        parts: Returns an iterator over the content, part by part.
    """

    name: str
    parts: Callable[[], Iterator[bytes]]


class Transfer:
    """All files that the workers of a run need."""

    def __init__(self, plan: Plan, setup: Setup, metrics: Sequence[str]) -> None:
        self._plan = plan
        self._here = setup
        self._metrics = metrics
        self._encoded = lru_cache(maxsize=4)(self._encode)

    @cached_property
    def setup(self) -> Setup:
        """Return the set-up with all paths relative to a worker's folder; `settled` completes them there.

        The tested files keep their paths, because a worker that shares a folder with this machine has them there.
        """
        here = self._here
        return dataclasses.replace(
            here,
            dataset="",
            dataset_source=None,
            jobs=tuple(map(_sent_job, here.jobs)),
            metrics={name: _sent_source(source) for name, source in here.metrics.items()},
            plugins=tuple(path for source in self._sources if (path := _sent_source(source).path)),
            images=IMAGES,
        )

    def first(self) -> Iterator[TransferFile]:
        """Yield the files that a worker needs before its fingerprint can be taken.

        These are the files of plugins, and those that metrics read.
        """
        for source in self._sources:
            yield TransferFile((_plugin(source) / MARK).as_posix(), lambda: iter(()))
            for path in self._files(source):
                name = _plugin(source) / path.relative_to(source.root)
                yield TransferFile(name.as_posix(), partial(_of_file, path))
        for place, path in self._read_by_metrics.items():
            yield TransferFile((DATA / place).as_posix(), partial(_of_file, path))

    def _files(self, source: PluginSource) -> list[Path]:
        """Return the files of a plugin to transfer, which are below its root.

        These are its own, those that its import loaded, those that its specs declare, and Python files nearby.
        """
        assert source.path is not None
        used = [source.root / file.name for file in self._plan.registry.used(source) if file.root == "plugin"]
        beside = sorted(source.path.parent.rglob("*.py")) if not too_wide(source.path.parent) else []
        near = [
            path for path in beside if not any(part.startswith(".") for part in path.relative_to(source.root).parts)
        ]
        found = dict.fromkeys([source.path, *used, *self._declared(source), *near[:MAX_FILES_BESIDE_PLUGIN]])
        return [path for path in found if path.is_file()]

    def _declared(self, source: PluginSource) -> list[Path]:
        """Return the files below a plugin's root that its specs declare. Other files must be at the same path there."""
        found: list[Path] = []
        known = self._plan.registry
        spec_tables: tuple[SpecTable[Any], ...] = (known.denoisers, known.noises, known.metrics)
        for specs in spec_tables:
            for entry in map(specs.entry, specs):
                if entry.source == source:
                    found += declared_files.paths(entry.spec, source)
        return [path for path in found if path.is_relative_to(source.root)]

    def of(self, tasks: Sequence[Task]) -> Iterator[TransferFile]:
        """Yield the files that these tasks need: clean images, stored outputs and weights."""
        for task in tasks:
            digest = task.cell.image_digest
            yield TransferFile(path_of(IMAGES, digest).as_posix(), partial(self._of_image, task.cell.image))
            if task.kept:
                yield TransferFile(path_of(IMAGES, task.kept.stem).as_posix(), partial(_of_file, task.kept))
            if weights := self._here.jobs[task.job].weights:
                yield TransferFile(_weights(weights.sha256).as_posix(), partial(_of_file, weights.path))
                yield from self._made_of(task.job, weights)

    def _made_of(self, job: int, weights: Weights) -> Iterator[TransferFile]:
        """Yield the ONNX file made from these weights, and its digest file, if the job's method computes from one."""
        method = self._here.jobs[job].method
        spec = self._plan.registry.denoisers[method.name]
        variant = variants.of(spec, method)
        if variant.onnx:
            from mdnbench.training.deploy import models

            path = models.path_of(spec, weights, variant.precision)
            for each in (path, path.with_suffix(".sha256")):
                if each.is_file():
                    yield TransferFile((HOME / "deploy" / each.name).as_posix(), partial(_of_file, each))

    @cached_property
    def _sources(self) -> tuple[PluginSource, ...]:
        """Return the sources of the plugins that are loaded from files."""
        known = self._plan.registry
        spec_tables = (known.denoisers, known.noises, known.datasets, known.metrics, known.reporters)
        sources = {specs.entry(name).source: None for specs in spec_tables for name in specs}
        return tuple(source for source in sources if source.path)

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
        content = io.BytesIO()
        np.save(content, self._plan.dataset.load(image), allow_pickle=False)
        return content.getvalue()


def settled(setup: Setup, folder: Path, variables: dict[str, str]) -> Setup:
    """Return a set-up that was sent to a worker, with its paths below the folder of the worker.

    Args:
        setup: The set-up as `Freight.setup` returns it.
        folder: The folder on the worker's machine.
        variables: The environment variables for the worker processes.
    """
    assert setup.images is not None

    def resolved_source(source: PluginSource | None) -> PluginSource | None:
        if source is None or source.path is None:
            return source
        return dataclasses.replace(source, path=folder / source.path, folder=folder / source.root)

    def settled_job(job: Job) -> Job:
        weights = dataclasses.replace(job.weights, path=folder / job.weights.path) if job.weights else None
        noise = resolved_source(job.noise_source)
        assert noise is not None
        return dataclasses.replace(
            job, noise_source=noise, method_source=resolved_source(job.method_source), weights=weights
        )

    metrics = {name: found for name, source in setup.metrics.items() if (found := resolved_source(source))}
    plugins = tuple(folder / path for path in setup.plugins)
    jobs = tuple(map(settled_job, setup.jobs))
    images = folder / setup.images
    return dataclasses.replace(setup, jobs=jobs, metrics=metrics, plugins=plugins, images=images, variables=variables)


def settled_task(task: Task, folder: Path) -> Task:
    """Return a task that was sent to a worker, whose stored output is the copy below the folder of the worker."""
    return dataclasses.replace(task, kept=path_of(folder / IMAGES, task.kept.stem)) if task.kept else task


def _sent_job(job: Job) -> Job:
    method = _sent_source(job.method_source) if job.method_source else None
    weights = dataclasses.replace(job.weights, path=_weights(job.weights.sha256)) if job.weights else None
    return dataclasses.replace(job, noise_source=_sent_source(job.noise_source), method_source=method, weights=weights)


def _sent_source(source: PluginSource) -> PluginSource:
    """Return a plugin's source with paths relative to a worker's folder."""
    if source.path is None:
        return source
    top = _plugin(source)
    return dataclasses.replace(source, path=top / source.path.relative_to(source.root), folder=top)


def _weights(digest: str) -> Path:
    return Path("weights", f"{digest}.safetensors")


def _plugin(source: PluginSource) -> Path:
    """Return the folder for a plugin's files on a worker. Files keep their paths below the plugin's root."""
    return PLUGINS / source.digest


def _of_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(CHUNK_BYTES):
            yield part

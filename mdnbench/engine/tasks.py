"""The data that is sent to workers: the set-up, once for each worker, and one task for each cell. Plain values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.evaluation.protocols import Protocol
from mdnbench.spec.names import Named
from mdnbench.spec.records import Cell, Outcome, Used
from mdnbench.spec.specs import Wants
from mdnbench.util.limits import PREPARE_S
from mdnbench.weights import Weights

if TYPE_CHECKING:
    from mdnbench.registry.discovery import PluginSource


@dataclass(frozen=True, slots=True)
class Job:
    """A method under a noise, with the weights that it uses; many tasks share it.

    Attributes:
        noise: The noise with its parameters.
        noise_source: The source of the noise's plugin.
        method: The method with its options; unused in a job that only scores.
        method_source: The source of the method's plugin; None in a job that only scores.
        weights: The weights of a learned method.
        wants: Which information about the noise the method wants.
        packages: The distributions that the method declares.
        prepares: Whether the method has to be prepared on each machine before it is built.
    """

    noise: Named
    noise_source: PluginSource
    method: Named
    method_source: PluginSource | None = None
    weights: Weights | None = None
    wants: Wants = "nothing"
    packages: tuple[str, ...] = ()
    prepares: bool = False

    @property
    def model(self) -> tuple[str, str]:
        """Return what identifies the loaded model, whatever the noise: the method's text and the weights' digest."""
        return self.method.text, self.weights.sha256 if self.weights else ""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all tasks of a run share.

    Attributes:
        dataset: The data set, or the folder, that clean images come from.
        dataset_source: The source of the data set's plugin; None for a folder.
        protocol: The protocol of the run.
        device: The device that methods compute on.
        jobs: The methods under their noises.
        metrics: The sources of the metrics' plugins, by metric.
        revisions: The revisions of methods, noises and metrics when the run was planned, by kind and name. A spec with
            another revision is not used.
        timeout: The time limit for a cell, in seconds.
        prepare_s: The time limit for preparing a method, in seconds, which comes before its first cell.
        memory_bytes: The memory limit for the process of a method with its children; 0 means no limit.
        plugins: All plugin files of the run.
        tested: The files of the data set, which no method may open.
        images: If given, a folder that clean images are read from by their pixels' digests, instead of `dataset`.
        variables: Environment variables for the workers.
    """

    dataset: str
    dataset_source: PluginSource | None
    protocol: Protocol
    device: str
    jobs: tuple[Job, ...]
    metrics: Mapping[str, PluginSource]
    revisions: Mapping[tuple[str, str], str]
    timeout: float
    prepare_s: float = PREPARE_S
    memory_bytes: int = 0
    plugins: tuple[Path, ...] = ()
    tested: tuple[Path, ...] = ()
    images: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def longest_s(self, job: int) -> float:
        """Return how long a cell of a job may take: the time limit, and that of preparing the method if it needs it."""
        return self.timeout + (self.prepare_s if self.jobs[job].prepares else 0)

    def model(self, job: int) -> int:
        """Return the index of the first job with the same model as this one. One loaded model then serves both."""
        return next(place for place, other in enumerate(self.jobs) if other.model == self.jobs[job].model)


@dataclass(frozen=True, slots=True)
class Task:
    """One cell to compute: denoise and score it, or, if its output image is stored already, only score it.

    Attributes:
        position: The position of the cell in the plan.
        cell: The cell.
        job: An index into the jobs of the set-up.
        pixels: The number of pixels of the image, which measures the work.
        metrics: The metrics to compute.
        keep: Whether to store the output image.
        kept: The stored output image, if there is one.
    """

    position: int
    cell: Cell
    job: int
    pixels: int
    metrics: tuple[str, ...]
    keep: bool
    kept: Path | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a task.

    Attributes:
        outcome: The outcome of the cell.
        used: The files that were used; None if they are the same as in the bench's last result for this job.
        peak_bytes: The most memory that a method process has held.
    """

    outcome: Outcome
    used: Used | None
    peak_bytes: int

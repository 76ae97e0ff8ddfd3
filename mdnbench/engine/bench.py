"""The code that runs inside a bench process.

A bench makes a case, passes the noisy image to a method process, and checks and scores the output. It has the clean
image and the scores, so it runs no code but ours. Methods, and whatever other plugins bring, run in other processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import registry
from mdnbench.data import folders
from mdnbench.data.tested_files import identity_of
from mdnbench.engine import orders
from mdnbench.engine.launcher import Launcher
from mdnbench.engine.method import Denoised, Settings, begin
from mdnbench.engine.orders import Failure, OrderFailed
from mdnbench.engine.processes import MethodProcess, ProcessLost, SourceProcess
from mdnbench.engine.tasks import Job, Result, Setup, Task
from mdnbench.errors import DataMissing, Unavailable
from mdnbench.evaluation import cases, outputs, scoring
from mdnbench.spec.records import Case, Outcome, Used, UsedFile
from mdnbench.spec.specs import MetricSpec, NoiseSpec
from mdnbench.store import stored_images
from mdnbench.util.digests import of_pixels

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.registry import Registry
    from mdnbench.registry.discovery import PluginSource
    from mdnbench.spec.specs import Image

OOM = ("MemoryError", "OutOfMemoryError")  # Python's, and torch's for a GPU


class OpenedTestedFile(Exception):
    """A method process has opened a tested file. The argument is its path."""


class Bench:
    """A worker that computes tasks one by one.

    Its public methods are the orders that the process takes.
    """

    def __init__(self, launcher: Launcher, setup: Setup) -> None:
        self._launcher = launcher
        self._setup = setup
        self._method: MethodProcess | None = None
        self._sources: dict[str, SourceProcess] = {}
        self._peak_bytes = 0
        self._until = 0.0
        self._unprepared: dict[int, OrderFailed | ProcessLost] = {}  # by model
        self._last: dict[int, Used] = {}  # what the last result reported, by job
        self._used_by: dict[int, tuple[UsedFile, ...]] = {}  # by model; its process may have ended since

    # -- orders --------------------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Return True, which shows that all imports of the process have finished."""
        return True

    def run(self, task: Task) -> Result:
        """Compute one cell and return its result.

        Whatever a plugin does wrong becomes the outcome of this cell.

        Returns:
            The outcome, the files that were used (None if they are the same as in the last result of this job), and the
            most memory in bytes that a method process has held.
        """
        self._until = time.monotonic() + self._setup.timeout
        outcome = self._survive(task)
        used = self._used(task)
        news = None if used == self._last.get(task.job) else used
        self._last[task.job] = used
        return Result(outcome, news, self._peak_bytes)

    # -- a cell --------------------------------------------------------------------------------------------------

    def _survive(self, task: Task) -> Outcome:
        key = task.cell.output
        try:
            return self._compute(task)
        except OpenedTestedFile as error:
            return Outcome(key, "invalid", tested_file=str(error))
        except outputs.InvalidOutput as error:
            return Outcome(key, "invalid", str(error))
        except Unavailable as error:
            return Outcome(key, "skipped", str(error))
        except ProcessLost as lost:
            return Outcome(key, lost.status, lost.reason)
        except OrderFailed as error:
            return _failed(key, error.failure)
        except Exception as error:
            return _failed(key, orders.failure_of(error))

    def _compute(self, task: Task) -> Outcome:
        case = self._case(task)
        known = (
            stored_images.load(task.kept.parents[1], task.kept.stem) if task.kept else None
        )  # None also if it was altered
        if known is not None:
            return Outcome(
                task.cell.output, "ok", noisy_digest=case.noisy_digest, scores=self._score(task, case, known)
            )
        denoised = self._denoise(task, case)
        image = outputs.check_values(denoised.image, case.noisy)
        return Outcome(
            task.cell.output,
            "ok",
            seconds=denoised.seconds,
            image=image if task.keep else None,
            noisy_digest=case.noisy_digest,
            output_digest=of_pixels(image),
            scores=self._score(task, case, image),
            notes=denoised.notes,
        )

    def _case(self, task: Task) -> Case:
        job = self._setup.jobs[task.job]
        spec = self._noise(job)
        clean = self._clean(task.cell.image, task.cell.image_digest)
        rule = self._setup.protocol.input
        return cases.make(clean, task.cell.case, job.noise, spec, rule, task.cell.noise_info)

    def _denoise(self, task: Task, case: Case) -> Denoised:
        job = self._setup.jobs[task.job]
        process = self._process_of(task.job)
        seed = int(task.cell.case[:8], 16)
        try:
            denoised = process.denoise(case.noisy, cases.reduced_noise_info(case.info, job.wants), seed, self._until)
        except OrderFailed as error:
            if error.failure.kind in OOM:  # the next cell starts in a new process
                self._end_method()
            raise
        except ProcessLost:
            self._end_method()
            raise
        self._peak_bytes = max(self._peak_bytes, process.peak_bytes)
        self._used_by[process.model] = process.used
        if process.worn:
            self._end_method()
        process.spoilt_by = process.spoilt_by or self._tested_file(denoised.opened)
        if process.spoilt_by:
            raise OpenedTestedFile(process.spoilt_by)
        if denoised.image is None:
            raise outputs.InvalidOutput(denoised.problem)
        return denoised

    def _score(self, task: Task, case: Case, image: Image) -> Any:
        specs = {name: self._metric(name) for name in task.metrics}
        scorers = {name: self._scorer(name) for name in task.metrics}
        return scoring.score(image, case.clean, self._setup.protocol.scoring, specs, scorers)

    # -- the method ----------------------------------------------------------------------------------------------

    def _process_of(self, job: int) -> MethodProcess:
        """Return the process of a job's method. End the process of any other method first."""
        model = self._setup.model(job)
        if self._method and self._method.model != model:
            self._end_method()
        if model in self._unprepared:
            raise self._unprepared[model]
        if self._method is None:
            self._method = MethodProcess(self._launcher, self._setup, model)
            if self._setup.jobs[model].prepares:
                self._prepare(self._method)
        return self._method

    def _prepare(self, process: MethodProcess) -> None:
        """Prepare a method. The time of the cell begins afterwards. What failed once is not tried for each cell."""
        try:
            process.prepare()
        except (OrderFailed, ProcessLost) as error:
            self._unprepared[process.model] = error
            self._end_method()
            raise
        self._until = time.monotonic() + self._setup.timeout

    def _end_method(self) -> None:
        if self._method:
            self._peak_bytes = max(self._peak_bytes, self._method.peak_bytes)
            self._method.end()
        self._method = None

    def _used(self, task: Task) -> Used:
        """Return the files that the processes of a task have used so far, by role."""
        job = self._setup.jobs[task.job]
        found: dict[str, tuple[UsedFile, ...]] = {}
        model = self._setup.model(task.job)
        if model in self._used_by:
            found["method"] = self._used_by[model]
        for role, source in [
            ("noise", job.noise_source),
            *((f"metric {name}", self._metric_source(name)) for name in task.metrics),
        ]:
            if source.address in self._sources:
                found[role] = self._sources[source.address].used()
        return found

    @cached_property
    def _tested(self) -> dict[tuple[int, int] | None, Path]:
        """Return the data set's files by device and inode, which identify a file that is opened by any name."""
        return {identity_of(path): path for path in self._setup.tested}

    def _tested_file(self, opened: tuple[Path, ...]) -> str:
        """Return the data set's path of a tested file that was opened; '' if none was."""
        found = (self._tested[which] for which in map(identity_of, opened) if which and which in self._tested)
        return next(map(str, found), "")

    # -- what plugins bring --------------------------------------------------------------------------------------

    @cached_property
    def _ours(self) -> Registry:
        return registry.ours()

    def _source_process(self, source: PluginSource) -> SourceProcess:
        """Return the process of a plugin that is not ours."""
        if source.address not in self._sources:
            self._sources[source.address] = SourceProcess(self._launcher, source, self._setup)
        return self._sources[source.address]

    def _asks(self, source: PluginSource, order: str) -> Callable[..., Any]:
        """Return a function that sends an order to the process of a plugin."""

        def ask(*arguments: Any) -> Any:
            process = self._source_process(source)
            try:
                return process.ask(order, *arguments, until=self._until)
            except ProcessLost:
                del self._sources[source.address]
                process.end()
                raise

        return ask

    def _noise(self, job: Job) -> NoiseSpec:
        source, name = job.noise_source, job.noise.name
        if source.ours:
            return self._ours.noises[name]
        make, std = self._asks(source, "noise"), self._asks(source, "std")

        def apply(planes: Image, rng: Any, **parameters: float) -> Any:
            return make(name, planes, rng.key, parameters)

        return NoiseSpec(name, "", "", apply, lambda **parameters: std(name, parameters))

    def _metric_source(self, metric: str) -> PluginSource:
        return self._setup.metrics[metric]

    def _metric(self, name: str) -> MetricSpec:
        source = self._metric_source(name)
        return self._ours.metric(name) if source.ours else self._metric_elsewhere(name)

    @lru_cache(maxsize=64)  # noqa: B019 (there is one bench in a process)
    def _metric_elsewhere(self, name: str) -> MetricSpec:
        spec = MetricSpec(name, "", "", "higher", lambda device: self._scorer(name))
        try:
            return replace(spec, min_size=self._asks(self._metric_source(name), "min_size")(name))
        except OrderFailed:
            return spec  # its scorer will raise the reason

    @lru_cache(maxsize=64)  # noqa: B019
    def _scorer(self, name: str) -> Callable[[Image, Image], float]:
        """Return a metric, ready to score images.

        If the metric cannot be built, the returned function raises the reason for each image. The other metrics still
        count.
        """
        source = self._metric_source(name)
        if not source.ours:
            return self._scorer_elsewhere(name, source)
        try:
            return self._ours.metric(name).build("cpu")
        except Exception as error:
            why = error

            def broken(denoised: Image, clean: Image) -> float:
                raise why

            return broken

    def _scorer_elsewhere(self, name: str, source: PluginSource) -> Callable[[Image, Image], float]:
        ask = self._asks(source, "score")

        def score(denoised: Image, clean: Image) -> float:
            try:
                return float(ask(name, denoised, clean))
            except OrderFailed as error:
                raise _named_error(error.failure) from None
            except ProcessLost as lost:
                raise scoring.ScorerLost(lost.status, lost.reason) from None

        return score

    # -- clean images --------------------------------------------------------------------------------------------

    @lru_cache(maxsize=16)  # noqa: B019
    def _clean(self, image: str, digest: str) -> Image:
        pixels = self._sent(image, digest) if self._setup.images else self._loaded(image, digest)
        pixels.flags.writeable = False
        return pixels

    def _loaded(self, image: str, digest: str) -> Image:
        """Return the image from the data set. Raise DataMissing if its pixels have changed since the plan was made."""
        pixels: Image = self._load(image)
        if of_pixels(pixels) != digest:
            raise DataMissing(
                f"image {image!r} of the data set {self._setup.dataset} has changed since the run was planned; put the "
                "former one back, or run again with the new one."
            )
        return pixels

    @cached_property
    def _load(self) -> Callable[[str], Image]:
        name, source = self._setup.dataset, self._setup.dataset_source
        if source is None:
            return (folders.find(name) or folders.folder_dataset(name)).load
        if source.ours:
            return self._ours.datasets[name].load
        load = self._asks(source, "load")
        return lambda image: load(name, image)  # the process also resolves `NAME[gray]`

    def _sent(self, image: str, digest: str) -> Image:
        assert self._setup.images is not None
        pixels = stored_images.load(self._setup.images, digest)
        if pixels is None:
            raise DataMissing(f"image {image!r} did not reach this worker as it was planned.")
        return pixels


def _failed(key: str, failure: Failure) -> Outcome:
    if failure.unavailable:
        return Outcome(key, "skipped", failure.message)
    if failure.kind == "InvalidOutput":
        return Outcome(key, "invalid", failure.message)
    if failure.kind in OOM:
        reason = f"out of memory: {failure.message}" if failure.kind == OOM[0] else str(failure)
        return Outcome(key, "oom", reason, failure.traceback)
    return Outcome(key, "failed", str(failure), failure.traceback)


def _named_error(failure: Failure) -> Exception:
    """Return an exception with the class name and message of one that was raised in another process."""
    if failure.unavailable:
        return Unavailable(failure.message)
    error: Exception = type(failure.kind, (Exception,), {})(failure.message)
    return error


def serve(connection: Connection, launcher: Launcher, setup: Setup) -> None:
    """Take orders to compute the cells of a set-up, until the connection is closed."""

    def make() -> Bench:
        begin(Settings(setup.device, variables=setup.variables))
        return Bench(launcher, setup)

    orders.serve(connection, make)

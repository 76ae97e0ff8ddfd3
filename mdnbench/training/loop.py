"""The training loop, which serves every method that has a Trainable."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from filelock import FileLock, Timeout

from mdnbench import weights as store
from mdnbench.errors import BadPlugin, Interrupted, UsageError, WeightsError
from mdnbench.registry import variants
from mdnbench.registry.plugin_errors import named_errors
from mdnbench.training import card, checkpoint, log, optimisers, ranks
from mdnbench.training.progress_meter import Meter
from mdnbench.training.recipe import Moment, trainable_of
from mdnbench.training.training_data import TrainingData, gather
from mdnbench.training.training_state import CHECKPOINT, PLATEAU, TrainingState
from mdnbench.util import atomic, digests, paths

if TYPE_CHECKING:
    from mdnbench.spec.names import Named
    from mdnbench.spec.specs import DatasetSpec, DenoiserSpec, NoiseSpec, Trainable
    from mdnbench.training.code_record import TrainingSources
    from mdnbench.training.recipe import Recipe

REPORT_EVERY_S = 5.0
SAVE_EVERY_S = 60.0
AGAIN = "the same command"


def _never() -> bool:
    return False


def train(
    spec: DenoiserSpec,
    method: Named,
    recipe: Recipe,
    *,
    data: DatasetSpec,
    noises: Mapping[str, NoiseSpec],
    exclude: Iterable[str] = (),
    device: str = "cpu",
    threads: int | None = None,
    resume: bool = True,
    name: str | None = None,
    facts: Mapping[str, Any] | None = None,
    half: bool = False,
    code: TrainingSources | None = None,
    report: Callable[[log.TrainingProgress], None] | None = None,
    stop: Callable[[], bool] = _never,
) -> store.Weights:
    """Train a learned method, and save its weights under the home folder.

    Processes that are `ranks.joined` train together: the first one decides and writes, and all return its result.

    Args:
        spec: The learned method.
        method: The method with the options of the network.
        recipe: The recipe to follow.
        data: The training data.
        noises: The registered noises.
        exclude: The ids of images to leave out, because they overlap test data.
        device: The device to train on.
        threads: The number of threads; by default, torch's.
        resume: Whether to continue a stopped training from its checkpoint.
        name: The name of the weights; by default, that of the training's folder.
        facts: More fields for the card.
        half: Whether to save the weights in half precision.
        code: The code that the training uses. A training that began with other code is not continued.
        report: Called with the progress.
        stop: Called before every step. When it returns True, a checkpoint is saved and the training stops.

    Raises:
        Interrupted: `stop` returned True.
        UsageError: The checkpoint belongs to another training, or the folder is in use.
        WeightsError: The training diverged, or its checkpoint is damaged.
    """
    ranks.check(recipe.batch)
    trainable = trainable_of(spec)
    folder = folder_of(spec, method, recipe)
    material = gather(recipe, data, noises, exclude, bool(method.values().get("colour")), device)

    with locked(folder), _settings(device, threads):
        if ranks.first():
            checkpoint.tidy(folder)
        torch.manual_seed(recipe.seed)
        with named_errors(f"the network of {spec.name!r} is made"):
            made = trainable.network(blind=recipe.blind, **variants.own(spec, method))
        network = ranks.prepared(made)
        belongings = {"pixels": material.crops.digest, "revision": spec.revision, "noises": material.mixture.text}
        state = TrainingState(network, recipe, len(material.images), device, belongings, code)
        state.resume(folder) if resume else state.discard(folder)
        ranks.check_step(state.clock.step)
        follow(trainable, state, material, folder, report, stop, AGAIN if resume else f"{AGAIN} without --from-scratch")
        if not ranks.first():
            return ranks.broadcast(None)
        described = dataclasses.replace(card.of(spec, method, data, state, material), **(facts or {}))
        tensors = trainable.export(network) if trainable.export else network.state_dict()
        saved = store.save(paths.home() / "weights" / spec.name, name or folder.name, tensors, described, half)
        log.draw(folder / "log.csv", folder / "curve.png")
        return ranks.broadcast(saved)


@contextlib.contextmanager
def _settings(device: str, threads: int | None) -> Iterator[None]:
    """Set torch's threads, cuDNN's search and the random generators for a training, and restore them afterwards."""
    before = torch.get_num_threads(), torch.backends.cudnn.benchmark
    with torch.random.fork_rng([device] if torch.device(device).type == "cuda" else []):
        torch.set_num_threads(threads or before[0])
        torch.backends.cudnn.benchmark = True  # all crops have one size, so searching for the fastest convolutions pays
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.backends.cudnn.benchmark = before[1]


def follow(
    trainable: Trainable,
    state: TrainingState,
    material: TrainingData,
    folder: Path,
    report: Callable[[log.TrainingProgress], None] | None = None,
    stop: Callable[[], bool] = _never,
    again: str = AGAIN,
) -> None:
    """Follow the recipe until its budget is used up. The network then has its averaged weights, and is validated.

    Args:
        trainable: How the method is trained.
        state: The training's state, which is updated.
        material: The training data.
        folder: The folder for checkpoints and the log.
        report: Called with the progress.
        stop: Called before every step; True stops the training.
        again: How to continue, for the message about a stop.

    Raises:
        Interrupted: `stop` returned True; a checkpoint was saved.
        WeightsError: The training diverged; the earlier checkpoint is kept.
    """
    network, recipe, clock, optimiser = state.network, state.recipe, state.clock, state.optimiser
    context = autocast(state)
    record = log.CsvLog(folder / "log.csv", clock.step) if ranks.first() else None
    meter = Meter(recipe.batch * recipe.crop**2, clock, state.device)
    saved_at = time.perf_counter()
    clock.start()
    progress = ranks.agreed(clock.progress())

    while progress < 1 and not ranks.agreed(stop()):
        moment = Moment(clock.step, progress)
        ranks.reseed(recipe.seed, clock.step)
        lr = optimisers.rate(recipe.optimiser, recipe.schedule, clock.step, progress)
        for group in optimiser.param_groups:
            group["lr"] = lr

        with meter.outside():
            clean, noisy, std = map(ranks.share, material.draw(state.generator))
        with named_errors("the loss of this method"), context:
            loss = trainable.loss(network, clean, noisy, std, state.rng, moment, recipe)
            check_loss(loss)
        loss.backward()  # type: ignore[no-untyped-call]
        loss = ranks.averaged(loss.detach(), network)
        if recipe.optimiser.clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.optimiser.clip)
        optimiser.step()
        optimiser.zero_grad()
        with meter.outside():
            state.average.update(clock.step)

        clock.step += 1
        state.masked_steps += recipe.mask is not None and recipe.mask.ratio(moment) >= 0.2
        meter.add(loss)

        validate = ranks.first() and clock.step % recipe.validation.every == 0
        if validate:
            with state.average.in_place():
                state.psnr = material.validator.psnr(network, recipe.blind, context)
        if validate or meter.due(REPORT_EVERY_S):
            _report(meter.read(lr, state.psnr), record, report)
        before, progress = progress, ranks.agreed(clock.progress())
        if before < recipe.schedule.falling <= progress:
            _save(state, meter, folder / PLATEAU)
        if time.perf_counter() - saved_at > SAVE_EVERY_S:
            _save(state, meter, folder / CHECKPOINT)
            saved_at = time.perf_counter()

    _save(state, meter, folder / CHECKPOINT)
    if progress < 1:
        raise Interrupted(
            f"the training was stopped after {clock.step} steps, {progress:.0%} of its budget, and a checkpoint saved; "
            f"{again} goes on from there."
        )
    state.average.copy_to(network)
    state.psnr = material.validator.psnr(network, recipe.blind, context)
    require_finite(clock.step, meter.loss(), state.psnr)
    if meter.steps:
        _report(meter.read(lr, state.psnr), record, report)


def _save(state: TrainingState, meter: Meter, path: Path) -> None:
    """Save a checkpoint. If the training has diverged, raise WeightsError and keep the old file."""
    require_finite(state.clock.step, meter.loss(), state.psnr, state.average.values.values())
    state.save(path)


def _report(
    standing: log.TrainingProgress, record: log.CsvLog | None, report: Callable[[log.TrainingProgress], None] | None
) -> None:
    require_finite(standing.step, standing.loss, standing.psnr)
    if record:
        record.add(standing)
    if report:
        report(standing)


def folder_of(spec: DenoiserSpec, method: Named, recipe: Recipe) -> Path:
    """Return the folder of a training's checkpoints.

    A longer budget keeps the folder if the training can be continued.
    """
    kept = recipe if recipe.schedule.kind != "wsd" else dataclasses.replace(recipe, budget=type(recipe.budget)(steps=1))
    identity = digests.of_parts(method.name, variants.own(spec, method), kept.digest())
    return paths.home() / "training" / f"{method.name}-{identity[:12]}"


def autocast(state: TrainingState) -> torch.autocast:
    """Return the context for the precision in which a recipe runs its network."""
    enabled = state.recipe.precision == "bf16"
    return torch.autocast(torch.device(state.device).type, torch.bfloat16, enabled=enabled)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a training folder. Of processes that train together, the first one holds it.

    The operating system releases the lock when the process ends in any way, so a lock file that remains does not block
    others.

    Raises:
        UsageError: Another process holds the lock.
        StoreError: The folder cannot be written.
    """
    if not ranks.first():
        yield
        return

    lock = FileLock(folder / "lock")
    with atomic.below(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            message = f"another process is training into {folder}; wait until it has ended, or stop it, and try again."
            raise UsageError(message) from None
    try:
        yield
    finally:
        lock.release()


def require_finite(step: int, loss: float, psnr: float | None, weights: Iterable[torch.Tensor] = ()) -> None:
    """Check that a training has not diverged. Only the first process checks.

    Args:
        step: The number of steps done.
        loss: The mean loss.
        psnr: The validation PSNR in dB; infinity is allowed, because an image can be restored exactly.
        weights: The weights.

    Raises:
        WeightsError: The loss, the PSNR or a weight is not finite.
    """
    if not ranks.first():
        return
    problems = {
        f"the loss is {loss:g}": not math.isfinite(loss),
        "the validation PSNR is nan": psnr is not None and math.isnan(psnr),
        "its weights are not finite": not finite(weights),
    }
    for problem, true in problems.items():
        if true:
            raise WeightsError(
                f"the training has diverged: at step {step} {problem}; no weights were written. Train with a smaller "
                "learning rate (--set optimiser.lr=1e-4), or clip the gradients (--set optimiser.clip=1)."
            )


def check_loss(loss: object) -> None:
    """Check the value that a method's loss function returned.

    Raises:
        BadPlugin: It is not a single number with a gradient.
    """
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or not loss.requires_grad:
        came = f"a tensor {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
        why = ", cut off from the network" if isinstance(loss, torch.Tensor) and not loss.requires_grad else ""
        raise BadPlugin(f"the loss must be one number that depends on the network's parameters; it is {came}{why}.")


def finite(weights: Iterable[torch.Tensor]) -> bool:
    """Return whether all values are finite. This waits for a GPU only once."""
    found = [weight.isfinite().all() for weight in weights]
    return not found or bool(torch.stack(found).all())

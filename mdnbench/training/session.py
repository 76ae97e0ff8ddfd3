"""A training from a method's name to its weights: fetch the data, leave out leaks, choose the recipe, and train."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdnbench import data, weights
from mdnbench.data import leaks
from mdnbench.errors import DataMissing, UnknownName, UsageError
from mdnbench.registry import Entry, Registry, variants
from mdnbench.spec.names import Named
from mdnbench.spec.specs import DatasetSpec
from mdnbench.training import fine_tuning, loop, pruning, ranks
from mdnbench.training import recipe as recipes
from mdnbench.training.code_record import TrainingSources
from mdnbench.util import devices
from mdnbench.util.listener import Listener
from mdnbench.weights import Weights, check_name

if TYPE_CHECKING:
    from mdnbench.data.leaks import Leak
    from mdnbench.training.log import TrainingProgress
    from mdnbench.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A training as the user requested it.

    Attributes:
        method: The method with its options.
        recipe: The name or path of the recipe.
        minutes: The budget in minutes, if given.
        steps: The budget in steps, if given.
        epochs: The budget in epochs, if given.
        changes: Keys of the recipe to change.
        device: The device.
        threads: The number of threads.
        resume: Whether to continue a stopped training.
        name: The name of the weights.
        noise: Chooses the weights that a method with fewer channels is pruned from; Gaussian ones if None.
        start: The name of the weights to start from; '' for random ones.
        tests: Data sets that training must not see, in addition to the registry's test sets.
    """

    method: Named
    recipe: str = "best"
    minutes: float | None = None
    steps: int | None = None
    epochs: float | None = None
    changes: Mapping[str, Any] | None = None
    device: str = "cpu"
    threads: int | None = None
    resume: bool = True
    name: str | None = None
    noise: Named | None = None
    start: str = ""
    tests: tuple[DatasetSpec, ...] = ()


def task_of(
    order: TrainingRequest, registry: Registry, listener: Listener, stop: Callable[[], bool]
) -> fine_tuning.TrainingTask:
    """Return the task of the loop for an order. If weights to prune are missing, train these first."""
    spec = registry.denoisers[order.method.name]
    if variants.of(spec, order.method).keep == 1:
        _refuse_named(order)
        found = recipes.named(recipes.trainable_of(spec).recipes, order.recipe)
        return fine_tuning.task(spec, order.method, _changed(order, found), order.start)
    if order.start:
        raise UsageError(
            "a pruned network begins with the weights that it is pruned from; name them as "
            f"{spec.name}[keep=…,weights={order.start}]."
        )
    pruning.refuse_recipe(order.recipe)
    parent = weights.parent(spec, order.method, order.noise)
    if parent is None:
        whole = dataclasses.replace(order, method=variants.whole(spec, order.method), name=None)
        parent = run(whole, registry, listener, stop)
    return pruning.task(spec, order.method, parent, lambda found: _changed(order, found))


def _refuse_named(order: TrainingRequest) -> None:
    """Raise UsageError if an option names weights, because that option does not choose what training starts from."""
    name = order.method.values().get("weights", weights.AUTO)
    if name != weights.AUTO:
        raise UsageError(
            f"the option weights={name} selects what {order.method.name} denoises with; to begin a training with those "
            f"weights, name them with --start {name}, and leave the option out."
        )


def _changed(order: TrainingRequest, found: Recipe) -> Recipe:
    """Return a recipe with an order's changes and budget."""
    changed = recipes.override(found, dict(order.changes)) if order.changes else found
    return changed.within(minutes=order.minutes, steps=order.steps, epochs=order.epochs)


def run(
    order: TrainingRequest, registry: Registry, listener: Listener, stop: Callable[[], bool] = lambda: False
) -> Weights:
    """Train as ordered, without the images that overlap test data.

    Args:
        order: The training.
        registry: The registry.
        listener: Receives progress and notes.
        stop: Called before every step. When it returns True, a checkpoint is saved and the training stops.

    Returns:
        The weights.

    Raises:
        DataMissing: The training data cannot be obtained.
        Interrupted: `stop` returned True.
    """
    device = devices.choose(order.device)
    if order.name is not None:
        check_name(order.name, registry.denoisers[order.method.name])
    task = task_of(order, registry, listener, stop)
    recipe = task.recipe
    if recipe.data not in registry.datasets:
        raise UnknownName("training data set", recipe.data, registry.datasets)
    material = registry.datasets[recipe.data]
    with ranks.joined(device):
        exclude = ranks.broadcast(_ready_to_train(order, material, registry, listener) if ranks.first() else None)
        if ranks.first():
            _note_replaced(order, task, listener)

        phase = f"training {order.method.text}"
        listener.begin(phase, 100)
        with registry.denoisers.entry(order.method.name).inside():  # the network may import a module in any step
            weights = loop.train(
                task.spec, task.method, recipe, data=material, noises=registry.noises, exclude=exclude, device=device,
                threads=order.threads, resume=order.resume, facts=task.facts, half=task.half, name=order.name,
                stop=stop, code=_code(order, recipe, registry), report=lambda each: _report(listener, phase, each),
            )  # fmt: skip
        listener.end(phase)
    return weights


def _code(order: TrainingRequest, recipe: Recipe, registry: Registry) -> TrainingSources:
    """Return the sources whose code matters for a training."""
    entries: dict[str, Entry[Any]] = {"method": registry.denoisers.entry(order.method.name)}
    for each in recipe.noise:
        if each.family in registry.noises:  # an unknown noise is reported when the training starts
            entries[f"noise {each.family}"] = registry.noises.entry(each.family)
    return TrainingSources(entries)


def _ready_to_train(
    order: TrainingRequest, material: DatasetSpec, registry: Registry, listener: Listener
) -> frozenset[str]:
    """Fetch the training data, and return the images to leave out."""
    data.fetch(material)
    return leaking(material, registry, listener, order.tests)


def _note_replaced(order: TrainingRequest, task: fine_tuning.TrainingTask, listener: Listener) -> None:
    """Report that this training will replace weights of the same name from another training, if there are any."""
    now = {"recipe_digest": task.recipe.digest(), "options": variants.own(task.spec, task.method)}
    now |= {key: task.facts.get(key, "") for key in ("begun_from", "pruned_from")}
    for old in weights.trained(task.spec.name):
        if old.name == order.name and any(getattr(old.card, key) != value for key, value in now.items()):
            listener.note(
                f"the weights {old.name} ({old.card.steps} steps) are of another training; this one replaces them "
                "once it is finished. To keep them, stop and choose another --name."
            )


def leaking(
    material: DatasetSpec, registry: Registry, listener: Listener, tests: Iterable[DatasetSpec] = ()
) -> frozenset[str]:
    """Return the ids of training images that overlap test images.

    All available test sets are searched. The result for each pair of data sets is cached.

    Args:
        material: The training data.
        registry: The registry with the test sets.
        listener: Receives progress and notes.
        tests: More test sets.
    """
    found: set[str] = set()
    known = list(registry.datasets.values())
    digests = leaks.pixel_digests(material)  # once for all test sets: the training images must be decoded for it
    for test in [*known, *(test for test in tests if test not in known)]:
        if test.split == "test" and _ready(test):
            overlaps = _overlaps(material, digests, test, listener)
            if overlaps:
                names = ", ".join(sorted({leak.train_id for leak in overlaps}))
                listener.note(f"left out of {material.name}, because they overlap {test.name}: {names}")
            found |= {leak.train_id for leak in overlaps}
    return frozenset(found)


def _overlaps(
    material: DatasetSpec, digests: list[list[str]], test: DatasetSpec, listener: Listener
) -> tuple[Leak, ...]:
    phase = f"leaks between {material.name} and {test.name}"
    listener.begin(phase, len(material.images))
    found = leaks.cached_leaks(
        material, test, train_digests=digests, progress=lambda done, total: listener.progress(phase, done)
    )
    listener.end(phase)
    return found


def _ready(test: DatasetSpec) -> bool:
    """Return whether a test set is available without a download."""
    try:
        return data.at_hand(test)
    except DataMissing:
        return False


def _report(listener: Listener, phase: str, standing: TrainingProgress) -> None:
    psnr = "" if standing.psnr is None else f", validation {standing.psnr:.2f} dB"
    detail = (
        f"step {standing.step}, {standing.pixels_per_s / 1000:.0f} kpx/s, loss {standing.loss:.4f}{psnr}, "
        f"{standing.remaining_s / 60:.1f} min left, {standing.outside:.0%} outside the network"
    )
    listener.progress(phase, 100 * standing.progress, detail=detail)

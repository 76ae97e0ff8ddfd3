"""The rules against cheating: a method denoises the image itself, without recognising it or remembering it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mdnbench.data.images import write_png
from mdnbench.engine.process_state import restore
from mdnbench.engine.tasks import Task
from mdnbench.errors import Unavailable
from mdnbench.evaluation.adapters import to_numpy, to_tensor
from mdnbench.spec.records import Cell, NoiseInfo
from mdnbench.testing.rules import samples
from mdnbench.testing.rules.methods import KNOWN, MethodSubject, distance
from mdnbench.testing.rules.rule import Rule, RuleBroken
from mdnbench.util.digests import of_parts, of_pixels

if TYPE_CHECKING:
    from pathlib import Path

    from mdnbench.spec.specs import Denoise

PICTURES = {1: ("lena", "unnamed"), 3: ("lena-colour", "unnamed-colour")}  # by channels: two names of the same image
ROUNDS, TRIES = 4, 3
SHORT_S = 1e-3  # shorter calls depend as much on the clock and the machine as on the method
LARGE = (256, 256)


def write_pictures(folder: Path) -> None:
    """Write each pair of equal images, which differ only in their names."""
    folder.mkdir(parents=True)
    for channels, names in PICTURES.items():
        for name in names:
            write_png(folder / f"{name}.png", samples.clean(channels))


def ignores_names(method: MethodSubject) -> None:
    """The file name of an image does not change the output, in a cell as a run computes it."""
    one, other = (_digest(method, name) for name in PICTURES[method.channels])
    if one != other:
        raise RuleBroken(
            "the same output for one image under two file names",
            "different outputs",
            "look at the image alone: not at names, paths, or the frames that call you.",
        )


def _digest(method: MethodSubject, name: str) -> str:
    """Return the digest of an output. A frame that calls the method holds a cell with the image's name meanwhile."""
    case, pixels = of_parts("conformance"), of_pixels(samples.clean(method.channels))
    cell = Cell("conformance", name, pixels, "gaussian:25", 0, method.spec.name, "known", case, case)
    task = Task(0, cell, 0, samples.SIZE[0] * samples.SIZE[1], (), keep=False)
    output = method.call(method.build(), method.noisy())
    return f"{of_pixels(to_numpy(output))} at {task.position}"


OTHERS = {
    "nothing": (NoiseInfo(), KNOWN, NoiseInfo("gaussian", {"sigma": 60.0}, 60 / 255, "known"), NoiseInfo("poisson")),
    "std": (KNOWN, NoiseInfo(std=KNOWN.std, source="known"), NoiseInfo("speckle", {"sigma": 99.0}, KNOWN.std, "known")),
    "noise": (KNOWN,),
}


def uses_what_it_declares(method: MethodSubject) -> None:
    """Information about the noise that it does not declare to want does not change its output."""
    denoise, outputs = method.build(), []
    for info in OTHERS[method.spec.wants]:
        restore(method.before, seed=1)
        outputs.append(method.raw(denoise, to_tensor(method.noisy()), info))
    furthest = max(distance(outputs[0], each) for each in outputs)
    if furthest > 0:
        raise RuleBroken(
            f"one output whatever else is known about the noise, because it declares wants={method.spec.wants!r}",
            f"outputs that differ by up to {furthest:.2g}",
            "declare what it uses: wants='std' for the standard deviation, wants='noise' for all.",
        )


def works_each_time(method: MethodSubject) -> None:
    """A repeated image is not faster than a new one: nothing is remembered."""
    denoise = method.build()
    size = samples.SIZE if _seconds(method, denoise, 1, samples.SIZE) > 10 * SHORT_S else LARGE
    for attempt in range(TRIES):  # other work on the machine can make a new image look slow, but not every time
        fresh_s, again_s = _fresh_and_again(method, denoise, size, attempt)
        if fresh_s < SHORT_S:
            raise Unavailable(f"its calls of {1000 * fresh_s:.2g} ms are too short to compare.")
        if again_s >= fresh_s / 2:
            return
    raise RuleBroken(
        f"about the time of a fresh image, {1000 * fresh_s:.1f} ms, for one that it has seen",
        f"{1000 * again_s:.1f} ms",
        "do not keep outputs: mdnbench has a store for that, and timings must be those of the work.",
    )


def _fresh_and_again(
    method: MethodSubject, denoise: Denoise, size: tuple[int, int], attempt: int
) -> tuple[float, float]:
    """Return the shortest time in seconds of calls with new noise on one image, and that of repeated calls."""
    seeds = range(100 * (attempt + 1), 100 * (attempt + 1) + ROUNDS)
    pairs = [[_seconds(method, denoise, seed, size) for _ in range(2)] for seed in seeds]
    return min(fresh for fresh, _ in pairs), min(again for _, again in pairs)


def _seconds(method: MethodSubject, denoise: Denoise, seed: int, size: tuple[int, int]) -> float:
    noisy = to_tensor(method.noisy(seed, size=size))
    restore(method.before, seed=1)
    start = time.perf_counter()
    method.raw(denoise, noisy)
    return time.perf_counter() - start


RULES = (
    Rule("cheating-names", ignores_names),
    Rule("cheating-noise-info", uses_what_it_declares),
    Rule("cheating-repeat", works_each_time),
)

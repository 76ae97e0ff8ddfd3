"""The inside of a timing process: one method on so many threads, which loads and calls when it is told to."""

from __future__ import annotations

import itertools
import random
import time
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from mdnbench.engine import method, orders, threads
from mdnbench.engine.bench import reduced_noise_info
from mdnbench.engine.method import MethodOrders, Settings
from mdnbench.engine.tasks import Job
from mdnbench.evaluation.adapters import to_numpy, to_tensor
from mdnbench.timing import memory
from mdnbench.timing.cpu_wait import Waiting
from mdnbench.util.digests import of_pixels

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.spec.records import NoiseInfo, UsedFile
    from mdnbench.spec.specs import Image

SAME = 0.05  # two calls that differ by less are taken for warm
LONGEST_WARMUP_S, MOST_WARMUPS = 2.0, 10
COUNTED_SIDE = 64


@dataclass(frozen=True, slots=True)
class TimedCall:
    """The seconds of one call by the clock, and by the GPU's own events where there is one.

    `waited_s` are those of the seconds in which the process was ready and had no processor.
    """

    seconds: float
    device_seconds: float | None = None
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FirstCall:
    """The first call on an image of a size, and the most memory that was held until it was over.

    `memory_bytes` is the process's beyond what it held before loading, `device_bytes` what torch held on the GPU.
    `again_s` is the second call's time, of a method that compiles itself in the first; None of others. `waited_s` are
    the seconds that the process waited for a processor in the call that counts as the first.
    """

    seconds: float
    memory_bytes: int
    device_bytes: int | None
    again_s: float | None = None
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True)
class OutputComparison:
    """What a timed call made of a cell's noisy image beside what a quality call makes of it.

    `digest` is the quality output's; `difference` is the largest of any pixel, on the [0, 1] scale.
    """

    digest: str
    same: bool
    difference: float


def serve(connection: Connection, job: Job, settings: Settings) -> None:
    """Take orders for timing the method of a job."""

    def make() -> TimedMethod:
        method.begin(settings)
        return TimedMethod(job, settings)

    orders.serve(connection, make)


class TimedMethod:
    """A method that is being timed, the noisy images that it is timed on, and images like them that it has never seen.

    Its public methods are the orders that the process takes; they name an image by its side in pixels.
    """

    def __init__(self, job: Job, settings: Settings) -> None:
        self._method = MethodOrders(job, settings)
        self._settings = settings
        self._base = memory.resident_bytes()
        self._waiting = Waiting(settings.threads)
        self._denoise: Any = None
        self._images: dict[int, _TimedImage] = {}

    def ready(self) -> bool:
        """Answer, which shows that the process has started."""
        return True

    def used(self) -> tuple[UsedFile, ...]:
        """Return the files that the process has used so far."""
        return self._method.used()

    def load(self) -> float:
        """Build the method, weights included; the seconds that it took."""
        start = time.perf_counter()
        self._denoise = self._method.denoise_function
        seconds = time.perf_counter() - start
        threads.hold(self._settings.threads)  # building it brought everything back to one
        return seconds

    def parameters(self) -> int | None:
        """How many numbers its weights file holds, read from the header; None without weights."""
        weights = self._method.job.weights
        if weights is None:
            return None

        from safetensors import safe_open

        with safe_open(weights.path, "pt") as file:
            return int(sum(prod(file.get_slice(key).get_shape()) for key in file.keys()))  # noqa: SIM118 (not a dict)

    def file_bytes(self) -> int | None:
        """The size of the file that the method computes from, its weights or an ONNX file; None without one."""
        from mdnbench.training.deploy import building

        job = self._method.job
        if job.weights is None:
            return None
        return building.file_of(self._method.spec, job.method, job.weights).stat().st_size

    def first(self, side: int, noisy: Image, info: NoiseInfo) -> FirstCall:
        """Take an image (H, W) or (H, W, 3) to be timed on, and call the method on it."""
        tensor = to_tensor(noisy).to(self._settings.device)  # (1, C, H, W)
        shown = self._images[side] = _TimedImage(tensor, reduced_noise_info(info, self._method.job.wants))
        memory.begin_peak(self._settings.device)
        call, _ = self._timed(tensor, shown.told)
        peak = max(0, memory.peak_bytes() - self._base)
        device = memory.device_peak_bytes(self._settings.device)
        if not self._method.variant.compile:
            return FirstCall(call.seconds, peak, device, waited_s=call.waited_s)
        again = self.call(side, 1)[0]
        return FirstCall(call.seconds, peak, device, again.seconds, again.waited_s)

    def warm(self, side: int, before_s: float, within_s: float) -> tuple[int, bool]:
        """Call until two calls in a row take equally long, or time is up: how many calls, and whether they agreed.

        `before_s` is the call before these.
        """
        end = time.perf_counter() + min(within_s, LONGEST_WARMUP_S)
        for number in itertools.count(1):
            (call,) = self.call(side, 1)
            if abs(call.seconds - before_s) <= SAME * max(call.seconds, before_s):
                return number, True
            if number >= MOST_WARMUPS or time.perf_counter() > end:
                return number, False
            before_s = call.seconds
        raise AssertionError  # count() has no end

    def call(self, side: int, count: int) -> list[TimedCall]:
        """Time so many calls, each on an image that the method has never seen."""
        shown = self._images[side]
        return [self._timed(shown.fresh(), shown.told)[0] for _ in range(count)]

    def twice(self, side: int, count: int, between: int) -> list[tuple[float, float]]:
        """The seconds of calls on so many fresh images, and of another call on the very same image right after it.

        Up to so many other calls lie `between` pairs, by chance: a processor that takes turns at an even pace must not
        always be away in the first call of two.
        """
        shown, pairs, chance = self._images[side], [], random.Random(0)
        for _ in range(count):
            self.call(side, chance.randint(0, between))
            noisy = shown.fresh()
            fresh, same = (self._timed(noisy, shown.told)[0].seconds for _ in range(2))
            pairs.append((fresh, same))
        return pairs

    def multiply_adds(self, side: int) -> float | None:
        """Multiply-adds per pixel by torch's counter, on a corner of the image; None where torch computes nothing."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        shown = self._images[side]
        corner = shown.noisy[..., :COUNTED_SIDE, :COUNTED_SIDE].contiguous()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self._denoise(corner, shown.told)
        return counter.get_total_flops() / 2 / (corner.shape[-1] * corner.shape[-2]) or None

    def compare(self, noisy: Image, info: NoiseInfo, seed: int) -> OutputComparison | str:
        """Compare what a timed call makes of a cell with what the run's own call makes of it; a text says what failed.

        `noisy` is the cell's noisy image, `info` what is known of its noise, and `seed` as the cell has it.
        """
        told = reduced_noise_info(info, self._method.job.wants)
        expected = self._method.denoise(noisy, told, seed)
        if expected.image is None:
            return f"the quality call gave no image: {expected.problem}"
        self._method.clean(seed)  # as in a cell: what draws random numbers draws the same ones
        threads.hold(self._settings.threads)
        _, output = self._timed(to_tensor(noisy).to(self._settings.device), told)
        image, digest = to_numpy(output), of_pixels(expected.image)
        return OutputComparison(digest, of_pixels(image) == digest, float(np.abs(image - expected.image).max()))

    def _timed(self, noisy: Any, told: NoiseInfo) -> tuple[TimedCall, Any]:
        """One call and what came of it: the timed region is three lines, and GPU events inside them."""
        import torch

        given, device = noisy.clone(), self._settings.device
        begin, end = _events(device)
        waited = self._waiting.seconds()
        with torch.no_grad():
            method.synchronise(device)
            start = time.perf_counter()
            _ = begin and begin.record()
            output = self._denoise(given, told)
            _ = end and end.record()
            method.synchronise(device)
            seconds = time.perf_counter() - start
        waited = max(0.0, self._waiting.seconds() - waited)  # threads may have ended
        return TimedCall(seconds, begin.elapsed_time(end) / 1000 if begin else None, waited), output


class _TimedImage:
    """An image that the method is timed on, and what the method is told of its noise."""

    def __init__(self, noisy: Any, told: NoiseInfo) -> None:
        pixels = noisy.shape[-2] * noisy.shape[-1]
        self.noisy, self.told = noisy, told
        # in random order, none twice before all were there; 0 would be the image itself
        self._shifts = itertools.cycle(random.Random(0).sample(range(1, pixels), min(pixels - 1, 4096)))

    def fresh(self) -> Any:
        """The image, shifted around its edges by a number of pixels that was not there before."""
        import torch

        rows, columns = divmod(next(self._shifts), self.noisy.shape[-1])
        return torch.roll(self.noisy, (rows, columns), (-2, -1))


def _events(device: str) -> tuple[Any, Any]:
    """Two events of the GPU's own clock, or nothing where there is no GPU."""
    if device != "cuda":
        return None, None
    import torch

    event: Any = torch.cuda.Event
    return event(enable_timing=True), event(enable_timing=True)

"""The code that runs in a timing process: one method on a number of threads, which loads and calls on orders."""

from __future__ import annotations

import itertools
import random
import time
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mdnbench.engine import method, orders, threads
from mdnbench.engine.method import MethodOrders, Settings
from mdnbench.engine.tasks import Job
from mdnbench.evaluation.adapters import to_numpy, to_tensor
from mdnbench.evaluation.cases import reduced_noise_info
from mdnbench.timing import memory
from mdnbench.timing.answers import FirstCall, OutputComparison, TimedCall
from mdnbench.timing.cpu_wait import Waiting
from mdnbench.util.digests import of_pixels
from mdnbench.util.limits import MAX_WARMUP_S, MAX_WARMUPS

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.spec.records import NoiseInfo, UsedFile
    from mdnbench.spec.specs import Image

SAME = 0.05  # calls in a row that differ by at most this share show that the method is warm
COUNTED_SIDE = 64


def serve(connection: Connection, job: Job, settings: Settings) -> None:
    """Execute the orders for timing the method of a job."""

    def make() -> TimedMethod:
        method.begin(settings)
        return TimedMethod(job, settings)

    orders.serve(connection, make)


class TimedMethod:
    """A method that is being timed, with the noisy images on which it is timed.

    Its public methods are the orders that the process executes. They identify an image by its side in pixels.
    """

    def __init__(self, job: Job, settings: Settings) -> None:
        self._method = MethodOrders(job, settings)
        self._settings = settings
        self._base = memory.resident_bytes()
        self._waiting = Waiting(settings.threads)
        self._denoise: Any = None
        self._images: dict[int, _TimedImage] = {}

    def ready(self) -> bool:
        """Return True, which shows that the process has started."""
        return True

    def used(self) -> tuple[UsedFile, ...]:
        """Return the files that the process has used so far."""
        return self._method.used()

    def load(self) -> float:
        """Build the method with its weights and return the seconds that this took."""
        start = time.perf_counter()
        self._denoise = self._method.denoise_function
        seconds = time.perf_counter() - start
        threads.hold(self._settings.threads)  # building the method has set all libraries to one thread
        return seconds

    def parameters(self) -> int | None:
        """Return how many numbers the weights file holds, read from its header; None without weights."""
        weights = self._method.job.weights
        if weights is None:
            return None
        from safetensors import safe_open

        with safe_open(weights.path, "pt") as file:
            return int(sum(prod(file.get_slice(key).get_shape()) for key in file.keys()))  # noqa: SIM118 (not a dict)

    def file_bytes(self) -> int | None:
        """Return the size of the file from which the method computes, weights or an ONNX file; None without one."""
        job = self._method.job
        if job.weights is None:
            return None
        from mdnbench.training.deploy import building

        return building.file_of(self._method.spec, job.method, job.weights).stat().st_size

    def first(self, side: int, noisy: Image, info: NoiseInfo) -> FirstCall:
        """Make the first call on an image and keep the image for further calls.

        Args:
            side: The side of the image, in pixels.
            noisy: The noisy image, (H, W) or (H, W, 3).
            info: The noise information, of which the method receives what its spec asks for.

        """
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
        """Call the method until two calls in a row take equally long, or until the time is over.

        Args:
            side: The side of the image, in pixels.
            before_s: The seconds of the call before these.
            within_s: The time for these calls, in seconds.

        Returns:
            The number of calls, and whether the last two took equally long.

        """
        end = time.perf_counter() + min(within_s, MAX_WARMUP_S)
        for number in itertools.count(1):
            (call,) = self.call(side, 1)
            if abs(call.seconds - before_s) <= SAME * max(call.seconds, before_s):
                return number, True
            if number >= MAX_WARMUPS or time.perf_counter() > end:
                return number, False
            before_s = call.seconds
        raise AssertionError  # count() has no end

    def call(self, side: int, count: int) -> list[TimedCall]:
        """Time `count` calls, each on an image that the method has never seen."""
        shown = self._images[side]
        return [self._timed(shown.fresh(), shown.told)[0] for _ in range(count)]

    def twice(self, side: int, count: int, between: int) -> list[tuple[float, float]]:
        """Time pairs of calls: one on a fresh image, and one on the very same image right after it.

        Before each pair a random number of other calls is made. Otherwise a processor that takes turns at regular
        intervals could always be away in the first call of a pair.

        Args:
            side: The side of the image, in pixels.
            count: The number of pairs.
            between: How many other calls are made before a pair at most.

        Returns:
            The seconds of both calls of each pair.

        """
        shown, pairs, chance = self._images[side], [], random.Random(0)
        for _ in range(count):
            self.call(side, chance.randint(0, between))
            noisy = shown.fresh()
            fresh, same = (self._timed(noisy, shown.told)[0].seconds for _ in range(2))
            pairs.append((fresh, same))
        return pairs

    def multiply_adds(self, side: int) -> float | None:
        """Return multiply-adds per pixel, counted by torch on a corner of the image; None if torch computes nothing."""
        from torch.utils.flop_counter import FlopCounterMode

        shown = self._images[side]
        corner = shown.noisy[..., :COUNTED_SIDE, :COUNTED_SIDE].contiguous()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self._denoise(corner, shown.told)
        return counter.get_total_flops() / 2 / (corner.shape[-1] * corner.shape[-2]) or None

    def compare(self, noisy: Image, info: NoiseInfo, seed: int) -> OutputComparison | str:
        """Compare the output of a timed call for a cell with the output of the run's own call.

        Args:
            noisy: The cell's noisy image, (H, W) or (H, W, 3).
            info: The noise information of the cell.
            seed: The cell's seed for random generators.

        Returns:
            The comparison, or a text with the reason why there is none.

        """
        told = reduced_noise_info(info, self._method.job.wants)
        expected = self._method.denoise(noisy, told, seed)
        if expected.image is None:
            return f"the quality call gave no image: {expected.problem}"
        self._method.clean(seed)  # as in a cell: methods that draw random numbers draw the same ones
        threads.hold(self._settings.threads)
        _, output = self._timed(to_tensor(noisy).to(self._settings.device), told)
        image, digest = to_numpy(output), of_pixels(expected.image)
        return OutputComparison(digest, of_pixels(image) == digest, float(np.abs(image - expected.image).max()))

    def _timed(self, noisy: Any, told: NoiseInfo) -> tuple[TimedCall, Any]:
        """Return the times of one call and its output.

        The timed region is three lines, with GPU events inside them.
        """
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
        waited = max(0.0, self._waiting.seconds() - waited)  # the sum may fall if threads have ended
        return TimedCall(seconds, begin.elapsed_time(end) / 1000 if begin else None, waited), output


class _TimedImage:
    """An image on which the method is timed, and the noise information that the method receives."""

    def __init__(self, noisy: Any, told: NoiseInfo) -> None:
        pixels = noisy.shape[-2] * noisy.shape[-1]
        self.noisy, self.told = noisy, told
        # in random order, each once before any repeats; 0 would be the image itself
        self._shifts = itertools.cycle(random.Random(0).sample(range(1, pixels), min(pixels - 1, 4096)))

    def fresh(self) -> Any:
        """Return the image shifted around its edges by a number of pixels that was not used before."""
        rows, columns = divmod(next(self._shifts), self.noisy.shape[-1])
        return torch.roll(self.noisy, (rows, columns), (-2, -1))


def _events(device: str) -> tuple[Any, Any]:
    """Return two events of the GPU's own clock, or nothing without a GPU."""
    if device != "cuda":
        return None, None
    event: Any = torch.cuda.Event
    return event(enable_timing=True), event(enable_timing=True)

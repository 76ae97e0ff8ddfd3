"""What a timing process answers to orders."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimedCall:
    """The times of one call.

    Attributes:
        seconds: The seconds by the clock.
        device_seconds: The seconds by the GPU's own events; None without a GPU.
        waited_s: The seconds in which the process was ready to run but had no processor.

    """

    seconds: float
    device_seconds: float | None = None
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FirstCall:
    """The times and the peak memory of the first call on an image of a size.

    Attributes:
        seconds: The seconds of the first call.
        memory_bytes: The peak memory of the process, in addition to what it held before loading.
        device_bytes: The peak memory of torch on the GPU; None without a GPU.
        again_s: The seconds of the second call, if the method compiles itself in the first; None otherwise.
        waited_s: The seconds in which the process waited for a processor: in the second call if there was one, else in
            the first.

    """

    seconds: float
    memory_bytes: int
    device_bytes: int | None
    again_s: float | None = None
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True)
class OutputComparison:
    """A comparison of a timed call's output for a cell with the output of a quality call.

    Attributes:
        digest: The digest of the quality call's output.
        same: Whether both outputs are equal to the last bit.
        difference: The largest difference of any pixel, on the [0, 1] scale.

    """

    digest: str
    same: bool
    difference: float

"""A timing record: pytest-benchmark's JSON format as records, so that `pytest-benchmark compare` reads it too.

What has no place in that format is in `extra_info`, and next to the benchmarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NO_TIME = "no time was left in the budget"
LATE = "its process did not start in time"
TOO_SHORT = (NO_TIME, LATE)  # the budget was too short: no fault of the method


@dataclass(frozen=True, slots=True)
class Cpu:
    """A processor's name and how many of its cores may be used."""

    brand_raw: str
    count: int


@dataclass(frozen=True, slots=True)
class MachineInfo:
    """The machine that a record was made on; `node` is its id."""

    node: str
    machine: str
    system: str
    python_version: str
    cpu: Cpu
    packages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """The source revision of mdnbench."""

    id: str
    project: str
    dirty: bool


@dataclass(frozen=True, slots=True)
class Options:
    """How pytest-benchmark would have been asked for these rounds."""

    disable_gc: bool = False
    timer: str = "perf_counter"
    min_rounds: int = 1
    warmup: bool = True


@dataclass(frozen=True, slots=True)
class Stats:
    """The seconds of every counted call in `data`, and pytest-benchmark's statistics of them."""

    min: float
    max: float
    mean: float
    stddev: float
    rounds: int
    median: float
    iqr: float
    q1: float
    q3: float
    iqr_outliers: int
    stddev_outliers: int
    outliers: str
    ld15iqr: float
    hd15iqr: float
    ops: float
    total: float
    data: tuple[float, ...]
    iterations: int


@dataclass(frozen=True, slots=True)
class SelfTests:
    """Whether what was timed is what was scored, and whether an image seen before was quicker; '' or 0: not looked at.

    `output` is `equal`, or says how far outputs are apart or why they were not compared. `again` is the median seconds
    on the same image over those on fresh ones, and `quicker` says that it is too little to be chance.
    """

    output: str = ""
    output_holds: bool = True
    again: float | None = None
    quicker: bool = False

    @property
    def complete(self) -> bool:
        """Whether both were looked at, or could not be for another reason than time."""
        return self.again is not None and not self.output.endswith(TOO_SHORT)


@dataclass(frozen=True, slots=True)
class ExtraInfo:
    """What mdnbench measured of a method under one condition, and what is known of it.

    Attributes:
        side: the side of the square image, in pixels.
        warmups: how many calls were made before those that count.
        warm: whether the last two of them took equally long.
        device_s: the median seconds by the GPU's clock, None without a GPU.
        parameters: how many numbers a network has learned, None for other methods.
        self_tests: what they found, next to the smallest image of a method; None for the others.
        problem: why there are no more rounds, None if there was no problem.
        unfinished: why the seconds are not a finished timing, although the method works; None if they are.
        waited: the part of the median call for which it waited for a processor, None if that is not known.
        timed_at: when, in UTC.
        budget_s: the seconds that the timing phase had.

    """

    side: int
    threads: int
    load_s: float
    first_call_s: float
    warmups: int
    warm: bool
    peak_memory_bytes: int
    peak_device_bytes: int | None
    device_s: float | None
    parameters: int | None
    file_bytes: int | None
    multiply_adds_per_pixel: float | None
    megapixels_per_s: float
    ms_per_megapixel: float
    self_tests: SelfTests | None = None
    problem: str | None = None
    unfinished: str | None = None
    waited: float | None = None
    timed_at: str = ""
    budget_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A method timed under one condition: its `group` names the size, the threads, the device and the noise."""

    group: str
    name: str
    fullname: str
    extra_info: ExtraInfo
    stats: Stats
    options: Options = field(default_factory=Options)
    params: None = None
    param: None = None


@dataclass(frozen=True, slots=True)
class PublishedLevel:
    """A published method's PSNR in dB: a level to compare with, without a time."""

    method: str
    psnr: float
    source: str


@dataclass(frozen=True, slots=True)
class KnownQuality:
    """What the store knows of the timed methods: the data, the mean PSNR in dB by method, and what is published."""

    dataset: str
    images: int
    protocol: str
    psnr: Mapping[str, float]
    published: tuple[PublishedLevel, ...]


@dataclass(frozen=True, slots=True)
class TimingRecord:
    """The timings of methods on one machine.

    `problems` says why there are no seconds, or no more, by method. `quality`, `left_out` (why a method was not timed)
    and `named` (the methods that were asked for by name) are known to `mdnbench time` alone.
    """

    machine_info: MachineInfo
    commit_info: CommitInfo
    benchmarks: tuple[Benchmark, ...]
    problems: Mapping[str, str]
    datetime: str
    version: str
    quality: KnownQuality | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()

"""The frozen records that cross module borders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

Status = Literal["ok", "failed", "timeout", "crashed", "oom", "invalid", "skipped"]
Source = Literal["known", "estimated", "withheld"]
Root: TypeAlias = Literal["plugin", "mdnbench", "package", "file"]
Used: TypeAlias = "Mapping[str, tuple[UsedFile, ...]]"  # files by what used them: 'method', 'noise', 'metric NAME'


@dataclass(frozen=True, slots=True, order=True)
class UsedFile:
    """One file or installed distribution that a process used.

    `name` is relative to the plugin's root or to the folder of mdnbench (with '/'), an absolute path ('file'), or the
    name of a distribution. `content` is the SHA-256 of the bytes, "absent" for a file that was looked for in vain, or
    the version and RECORD digest of a distribution. `code` is the syntax digest of a Python file, otherwise `content`.
    """

    root: Root
    name: str
    content: str
    code: str


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine and the versions that results were made with."""

    mdnbench: str
    revision: str
    python: str
    os: str
    machine: str
    machine_id: str
    cpu: str
    cores: int
    memory_bytes: int
    threads_per_cell: int
    device: str
    packages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NoiseInfo:
    """What a method is told about the noise.

    `family` is the noise's name and `params` its parameters, empty where withheld; `std` is the standard deviation on
    the [0, 1] scale, None where unknown or dependent on the image; `source` says where the knowledge comes from.
    """

    family: str = ""
    params: Mapping[str, float] = field(default_factory=dict)
    std: float | None = None
    source: Source = "withheld"


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the matrix: a method on a noisy image. All fields are text or numbers; nothing is loaded.

    `case` is the digest of image, noise, revision and seed; `output` and the score keys are built on it.
    """

    dataset: str
    image: str
    image_digest: str
    noise: str
    seed: int
    method: str
    noise_info: Source
    case: str
    output: str


@dataclass(frozen=True, slots=True)
class Case:
    """A clean image and its noisy version: float32 (H, W) or (H, W, 3); the same bits whoever makes them."""

    clean: Image
    noisy: Image
    noisy_digest: str
    info: NoiseInfo


@dataclass(frozen=True, slots=True)
class MetricScore:
    """One metric's verdict on one output; `value` is None unless status is ok."""

    metric: str
    status: Status
    value: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one cell: a status with its reason, the denoised image if there is one, and its scores.

    `machine` is the id of the machine that it ran on, empty where that is the coordinator's own. `used` are the files
    that the processes behind it have used so far.
    """

    output: str
    status: Status
    reason: str = ""
    traceback: str = ""
    seconds: float | None = None
    image: Image | None = None
    noisy_digest: str = ""
    output_digest: str = ""
    scores: tuple[MetricScore, ...] = ()
    machine: str = ""
    used: Used = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many cells of a run the store answered, were computed, were skipped, or went wrong.

    `rescored` cells are those whose kept output only lacked a metric: no method ran for them.
    """

    cached: int = 0
    rescored: int = 0
    computed: int = 0
    skipped: int = 0
    failed: int = 0
    peak_worker_bytes: int = 0

    @property
    def done(self) -> int:
        """The cells that are accounted for."""
        return self.cached + self.rescored + self.computed + self.skipped + self.failed

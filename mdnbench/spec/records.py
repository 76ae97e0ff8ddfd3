"""Frozen records that are passed between the packages of mdnbench."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from mdnbench.util.arrays import Image

Status = Literal["ok", "failed", "timeout", "crashed", "oom", "invalid", "skipped"]
NoiseInfoSource = Literal["known", "estimated", "withheld"]
Root: TypeAlias = Literal["plugin", "mdnbench", "package", "file"]
# Files by the part that used them: 'method', 'noise', 'metric NAME'.
Used: TypeAlias = "Mapping[str, tuple[UsedFile, ...]]"


@dataclass(frozen=True, slots=True, order=True)
class UsedFile:
    """One file or installed distribution that a process used.

    Attributes:
        root: The kind of the name: 'plugin', 'mdnbench', 'package' or 'file'.
        name: A path with '/' relative to the plugin's root ('plugin') or to the folder of mdnbench ('mdnbench'), the
            name of a distribution ('package'), or an absolute path ('file').
        content: The SHA-256 of the bytes, "absent" for a file that does not exist although the process tried to open
            it, or the version and RECORD digest of a distribution.
        code: The syntax digest of a Python file; for other files the same as `content`.

    """

    root: Root
    name: str
    content: str
    code: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Describe the machine and the versions with which results are computed."""

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
    """The information about the noise that a method gets.

    Attributes:
        family: The noise's name; empty if it is withheld.
        params: The noise's parameters; empty if they are withheld.
        std: The standard deviation on the [0, 1] scale; None if it is unknown or depends on the image.
        source: Whether the information is 'known', 'estimated' or 'withheld'.

    """

    family: str = ""
    params: Mapping[str, float] = field(default_factory=dict)
    std: float | None = None
    source: NoiseInfoSource = "withheld"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the score array: a method on a noisy image. All fields are text or numbers; nothing is loaded.

    `case` is the digest of image, noise, revision and seed. The keys of `output` and of scores are computed from it.
    """

    dataset: str
    image: str
    image_digest: str
    noise: str
    seed: int
    method: str
    noise_info: NoiseInfoSource
    case: str
    output: str


@dataclass(frozen=True, slots=True)
class Case:
    """A clean image and its noisy version: float32 (H, W) or (H, W, 3). Every process creates the same bits."""

    clean: Image
    noisy: Image
    noisy_digest: str
    info: NoiseInfo


@dataclass(frozen=True, slots=True)
class MetricScore:
    """The result of one metric for one output; `value` is None unless the status is ok."""

    metric: str
    status: Status
    value: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one cell: a status with its reason, the denoised image if there is one, and its scores.

    `machine` is the id of the machine that computed the cell; it is empty for the coordinator's own machine. `used`
    lists the files that the processes involved have used so far. `tested_file` is the path of a file of the tested data
    that the method has opened. `notes` are for the person who started the run.
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
    tested_file: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """How many cells of a run were in the store, were computed, were skipped, or went wrong.

    `rescored` counts cells whose output was stored and only lacked a metric: no method ran for them.
    """

    cached: int = 0
    rescored: int = 0
    computed: int = 0
    skipped: int = 0
    failed: int = 0
    peak_worker_bytes: int = 0

    @property
    def done(self) -> int:
        """Return the number of cells that are finished."""
        return self.cached + self.rescored + self.computed + self.skipped + self.failed

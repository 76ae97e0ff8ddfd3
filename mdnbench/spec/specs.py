"""Specs that plugins provide: frozen descriptions of denoisers, noises, data sets, metrics and reporters.

Creating a spec is fast. The functions of a spec import heavy packages (torch, bm3d, scipy, …) when they are called, so
listing plugins needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from mdnbench.spec.names import Option, Value
from mdnbench.util.arrays import Image as Image

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.records import NoiseInfo
    from mdnbench.spec.weights import Weights

Denoise: TypeAlias = "Callable[[torch.Tensor, NoiseInfo], torch.Tensor]"
Score: TypeAlias = "Callable[[Image, Image], float]"
Wants: TypeAlias = Literal["noise", "std", "nothing"]
Split: TypeAlias = Literal["train", "test"]
Direction: TypeAlias = Literal["higher", "lower"]


class Rng(Protocol):
    """The random numbers that a noise uses; one implementation is for NumPy and one is for torch.

    All three methods return float32 arrays of the library that `clean` belongs to.
    """

    def normal(self, shape: tuple[int, ...]) -> Any:
        """Return standard normal numbers of the given shape."""

    def uniform(self, shape: tuple[int, ...]) -> Any:
        """Return numbers of the given shape, uniform in [0, 1)."""

    def poisson(self, rate: Any) -> Any:
        """Return Poisson counts, one for each entry of `rate` (>= 0)."""


@dataclass(frozen=True, slots=True)
class Trainable:
    """How a learned denoiser is trained; mdnbench runs the training loop.

    Attributes:
        network: `network(blind=…, **options)` creates an untrained `nn.Module` from the denoiser's options. `blind`
            means that no noise level will be given. The module is called as `module(noisy, std)` and returns its
            estimate of the clean image. `noisy` is float32 (B, C, H, W). `std` is the noise's standard deviation on the
            [0, 1] scale as float32 (B, 1, 1, 1), or None if the network is blind.
        loss: `loss(network, clean, noisy, std, rng, moment, recipe)` returns a scalar. `rng` draws random numbers on
            the device, `moment` has the step and the progress (0 to 1), and `recipe` is the
            `mdnbench.training.recipe.Recipe` in use.
        recipes: A folder of NAME.toml files.
        weights: The folder of the weights that are shipped.
        export: `export(network)` returns the tensors to store when training ends (default: the module's state).
        convert: `convert(state)` converts published weights into a pair: tensors as `export` returns them, and the
            options that these tensors imply. It raises WeightsError for a layout that it does not know. A `convert`
            with a second argument `eps` gets the eps of batch normalisation (a float, or None if the user gave none),
            and refuses weights whose eps it cannot know.
        inference: `inference(blind=…, **options)` creates the module that the tensors of `export` belong to, which is
            called like the module of `network` (default: `network`). Deployment variants are made from it. A pruned and
            fine-tuned one is stored as a whole.

    """

    network: Callable[..., torch.nn.Module]
    loss: Callable[..., torch.Tensor]
    recipes: Path
    weights: Path
    export: Callable[[Any], dict[str, torch.Tensor]] | None = None
    convert: Callable[..., tuple[dict[str, torch.Tensor], dict[str, Value]]] | None = None
    inference: Callable[..., torch.nn.Module] | None = None


@dataclass(frozen=True, slots=True)
class DenoiserSpec:
    """A denoising method.

    Raise `Unavailable` in `build` if the method cannot work. Its cells are then skipped with that reason.

    Attributes:
        name: The name on the command line and in tables.
        revision: A text that changes whenever the output changes.
        summary: A description in one line.
        build: `build(options, device, weights)` returns `denoise(noisy, noise)`. `noisy` is a float32 tensor (1, C, H,
            W) on the device, nominally in [0, 1] but unclipped. So is the result.
        options: The options of the method.
        wants: The information about the noise that the method needs: 'noise' (the whole NoiseInfo), 'std' (only the
            standard deviation) or 'nothing'.
        channels: The numbers of channels that the method accepts.
        packages: The distributions whose versions change the output.
        licence: The licence of the method.
        citation: The publication of the method.
        published_as: The names of the method in published tables, separated by commas.
        trainable: How the method is trained, if it is a learned one.
        files: Files that count as used although nothing sees them opened, for example by C code. Relative paths start
            at the folder of the plugin file, or of the package.
        stabilise: For a method that expects white Gaussian noise: the default of its option `stabilise`. If that option
            is True, known Poisson, impulse, mixed and speckle noise is converted to white Gaussian noise before the
            method is called, and its output is converted back. None: the method has no such option.
        prepare: What has to be done once on a machine before the method can be built, such as compiling it.
            `prepare(options, now)` returns what is still to be done, as a phrase for the progress bar, or None. With
            `now`, it does it. It counts in no time limit of a cell and in no timing.

    """

    name: str
    revision: str
    summary: str
    build: Callable[[Mapping[str, Value], str, Weights | None], Denoise]
    options: tuple[Option, ...] = ()
    wants: Wants = "nothing"
    channels: tuple[int, ...] = (1,)
    packages: tuple[str, ...] = ()
    licence: str = ""
    citation: str = ""
    published_as: str = ""
    trainable: Trainable | None = None
    files: tuple[str | Path, ...] = ()
    stabilise: bool | None = None
    prepare: Callable[[Mapping[str, Value], bool], str | None] | None = None


@dataclass(frozen=True, slots=True)
class NoiseSpec:
    """A noise model.

    Attributes:
        name: The name on the command line and in tables.
        revision: A text that changes whenever the noise changes.
        summary: A description in one line.
        apply: `apply(clean, rng, **params)` returns the noisy image, unclipped. Both images are float32 (…, C, H, W),
            the last two axes are space, and `clean` is in [0, 1]. The function uses only arithmetic that NumPy arrays
            and torch tensors share, because evaluation and training call the same function. Parameters are floats, or
            arrays that broadcast against `clean`.
        std: `std(**params)` returns the standard deviation on the [0, 1] scale if it follows from the parameters alone,
            or None if it depends on the image.
        parameters: The parameters of the noise.
        formula: The definition as a formula.
        citation: The publication of the noise model.
        files: Files that count as used although nothing sees them opened, as for a method.

    """

    name: str
    revision: str
    summary: str
    apply: Callable[..., Any]
    std: Callable[..., float | None]
    parameters: tuple[Option, ...] = ()
    formula: str = ""
    citation: str = ""
    files: tuple[str | Path, ...] = ()


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a data set: its name, its SHA-256, its size in bytes and the pinned addresses to download it from."""

    name: str
    sha256: str
    bytes: int = 0
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A data set.

    Attributes:
        name: The name on the command line and in tables.
        summary: A description in one line.
        split: 'train' or 'test'.
        channels: 1 or 3; 0 if the images differ (a user's own folder).
        images: The ids of the images.
        load: `load(id)` returns the image as float32 (H, W) or (H, W, 3) in [0, 1].
        files: The files that must be available before `load` is called; empty if the images come from elsewhere. `load`
            finds them with `mdnbench.data.locate`.
        licence: The licence of the images.
        citation: The publication of the data set.

    """

    name: str
    summary: str
    split: Split
    channels: int
    images: tuple[str, ...]
    load: Callable[[str], Image]
    files: tuple[DataFile, ...] = ()
    licence: str = ""
    citation: str = ""


@dataclass(frozen=True, slots=True)
class MetricSetting:
    """Another setting of a metric that publications use, for example `ssim[uniform]`.

    It is computed by `rescore`, and wherever it is named. `build` and `prepare` are as in MetricSpec. Without a
    `prepare`, the metric's own is used.
    """

    name: str
    summary: str
    build: Callable[[str], Score]
    prepare: Callable[[bool], str | None] | None = None


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A quality metric.

    Attributes:
        name: The name on the command line and in tables.
        revision: A text that changes whenever the scores change.
        summary: A description in one line.
        direction: 'higher' or 'lower': which scores are better.
        build: `build(device)` returns `score(denoised, clean)`. Both images are float32 (H, W) or (H, W, 3) in [0, 1],
            already clamped, rounded and cropped by the protocol.
        unit: The unit of the score.
        digits: How many digits are shown after the decimal point.
        tolerance: The largest change of a mean that passes a regression check.
        min_size: The shortest image side in pixels that the metric takes.
        packages: The distributions whose versions change the scores.
        prepare: `prepare(download)` returns the reason why the metric cannot be computed here, or None if it can. It
            needs no heavy imports. With `download=True` it may first download missing files.
        citation: The publication of the metric.
        settings: Other settings that publications use.
        symmetric: Whether exchanging the two images leaves the score the same.
        by_name: Whether `all` leaves the metric out, so that it is computed only if it is named.
        files: Files that count as used although nothing sees them opened, as for a method.

    """

    name: str
    revision: str
    summary: str
    direction: Direction
    build: Callable[[str], Score]
    unit: str = ""
    digits: int = 3
    tolerance: float = 0.001
    min_size: int = 1
    packages: tuple[str, ...] = ()
    prepare: Callable[[bool], str | None] | None = None
    citation: str = ""
    settings: tuple[MetricSetting, ...] = ()
    symmetric: bool = False
    by_name: bool = False
    files: tuple[str | Path, ...] = ()


@dataclass(frozen=True, slots=True)
class ReporterSpec:
    """A way to write results to files.

    Attributes:
        name: The name on the command line.
        summary: A description in one line.
        write: `write(results, folder, **options)` writes the results into the folder and returns the path of the
            written file.
        options: The options of the reporter.

    """

    name: str
    summary: str
    write: Callable[..., Path]
    options: tuple[Option, ...] = field(default=())

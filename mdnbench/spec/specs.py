"""What plugins hand to mdnbench: frozen descriptions of denoisers, noises, data sets, metrics and reporters.

A spec is cheap to make. Whatever is heavy to import (torch, bm3d, lpips, …) is imported inside the functions that a
spec carries, so that listing plugins costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from mdnbench.spec.names import Option, Value

if TYPE_CHECKING:
    import numpy as np
    import torch

    from mdnbench.spec.records import NoiseInfo
    from mdnbench.weights import Weights

Image: TypeAlias = "np.ndarray[Any, np.dtype[np.float32]]"
Denoise: TypeAlias = "Callable[[torch.Tensor, NoiseInfo], torch.Tensor]"
Score: TypeAlias = "Callable[[Image, Image], float]"
Wants: TypeAlias = Literal["noise", "std", "nothing"]
Split: TypeAlias = Literal["train", "test"]
Direction: TypeAlias = Literal["higher", "lower"]


class Rng(Protocol):
    """The random numbers that a noise is written against; there is one for NumPy and one for torch.

    All three return float32 arrays of the library that `clean` belongs to.
    """

    def normal(self, shape: tuple[int, ...]) -> Any:
        """Standard normal numbers of the given shape."""

    def uniform(self, shape: tuple[int, ...]) -> Any:
        """Numbers uniform in [0, 1) of the given shape."""

    def poisson(self, rate: Any) -> Any:
        """Poisson counts, one for each entry of `rate` (>= 0)."""


@dataclass(frozen=True, slots=True)
class Trainable:
    """How a learned denoiser is trained; the loop itself is the harness's.

    `network(blind=…, **options)` makes an untrained `nn.Module` from the denoiser's options; `blind` says that no noise
    level will be given. The module is called as `module(noisy, std)` and returns its estimate of the clean image: noisy
    is float32 (B, C, H, W), std the noise's standard deviation on the [0, 1] scale as float32 (B, 1, 1, 1), or None
    where the network is blind.
    `loss(network, clean, noisy, std, rng, moment, recipe)` gives a scalar; `rng` draws on the device, `moment` has the
    step and the progress (0 to 1), and `recipe` is the `mdnbench.training.recipe.Recipe` that is being followed.
    `recipes` is a folder of NAME.toml files, `weights` the folder of the weights that are shipped.
    `export(network)` gives the tensors to keep once training ends (default: the module's state).
    `convert(state)` takes published weights to the pair (tensors as `export` gives them, the options that the tensors
    speak of); it raises WeightsError where it does not know the layout. With a second argument `eps` (a float, or None
    where nothing was said) it is told the eps of batch normalisation, and refuses what it cannot know.
    `inference(blind=…, **options)` makes the module that the tensors of `export` are of, called as the one of `network`
    is (default: `network`); deployment variants are made of it, and pruned and fine-tuned it is kept as it is.
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

    `build(options, device, weights)` returns `denoise(noisy, noise)`: noisy is float32 (1, C, H, W), nominally in
    [0, 1] but unclipped, on the device; so is what comes back. `wants` says what the method asks to know about the
    noise: 'noise' (the whole NoiseInfo), 'std' (the standard deviation alone) or 'nothing'. `channels` are the numbers
    of channels that it accepts. `packages` are the distributions whose versions change its output. Raise `Unavailable`
    in build where the method cannot work; its cells are then skipped with that reason.
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


@dataclass(frozen=True, slots=True)
class NoiseSpec:
    """A noise model.

    `apply(clean, rng, **params)` returns the noisy image: float32 (…, C, H, W) in and out, the last two axes are
    space, clean in [0, 1], the result unclipped. It uses only arithmetic that NumPy arrays and torch tensors share, so
    that one text serves evaluation and training; parameters are floats or arrays that broadcast against clean.
    `std(**params)` is the standard deviation on the [0, 1] scale that follows from the parameters alone, or None
    where it depends on the image.
    """

    name: str
    revision: str
    summary: str
    apply: Callable[..., Any]
    std: Callable[..., float | None]
    parameters: tuple[Option, ...] = ()
    formula: str = ""
    citation: str = ""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a data set: its name, its SHA-256, its size and the pinned addresses that it can be had from."""

    name: str
    sha256: str
    bytes: int = 0
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A data set: `load(id)` returns float32 (H, W) or (H, W, 3) in [0, 1] for each id in `images`.

    `files` are what must be at hand before load is called (empty where the images come from elsewhere); load finds
    them with `mdnbench.data.locate`. `channels` is 1 or 3, or 0 where images differ (a person's own folder).
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
    """Another setting of a metric that papers use, as `ssim[uniform]`: for `rescore`, and wherever it is named.

    `build` and `prepare` are as in MetricSpec; without a `prepare` the metric's own holds.
    """

    name: str
    summary: str
    build: Callable[[str], Score]
    prepare: Callable[[bool], str | None] | None = None


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A quality metric.

    `build(device)` returns `score(denoised, clean)`: both float32 (H, W) or (H, W, 3) in [0, 1], already clamped,
    rounded and cropped by the protocol. `prepare(download)` says, without heavy imports, why the metric cannot be
    computed here, or None when it can; with download=True it may first fetch what is missing. `digits` are shown after
    the point; `tolerance` is the change of a mean that a regression check lets pass. `min_size` is the shortest side
    that it takes. `settings` are other settings that papers use. `symmetric` declares that the two images may change
    places without a change of the score. `by_name` leaves the metric out of `all`: it is computed where it is named.
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


@dataclass(frozen=True, slots=True)
class ReporterSpec:
    """A way to write results down: `write(results, folder, **options)` returns the path of what it wrote."""

    name: str
    summary: str
    write: Callable[..., Path]
    options: tuple[Option, ...] = field(default=())

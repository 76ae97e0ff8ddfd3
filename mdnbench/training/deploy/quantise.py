"""ONNX files in eight bits, by ONNX Runtime's own quantisation: static, per channel, as QDQ."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mdnbench import data
from mdnbench.errors import DataMissing, MdnbenchError, Unavailable
from mdnbench.spec import tomlfile
from mdnbench.training import patches
from mdnbench.training.deploy import export
from mdnbench.training.recipe import Recipe
from mdnbench.training.training_noise import TrainingNoise
from mdnbench.training.validation import held_out
from mdnbench.util import temporary
from mdnbench.wrappers import inference
from mdnbench.wrappers.onnx_session import Session, package

if TYPE_CHECKING:
    from mdnbench.registry import Registry
    from mdnbench.weights import Weights

# The operators to compute in eight bits. A subtraction from the noisy image, as in residual networks, is not changed.
OPERATORS = ["Conv", "ConvTranspose", "Add", "Relu"]

# The percentage of values inside a range. The few others are clipped, because they would leave fewer levels for all the
# rest. With a range from the minimum to the maximum, dncnn loses 1.4 times as much at sigma 50, and twice at sigma 15.
PERCENTILE = 99.999


def write(known: Registry, weights: Weights, whole: Path, path: Path) -> None:
    """Write an ONNX file in eight bits. Its ranges contain nearly all values that occur for the calibration crops.

    Weights are signed with a scale for each channel. Values between layers are unsigned. Processors have instructions
    for this combination.

    Args:
        known: The registry.
        weights: The weights, which determine the calibration images.
        whole: The ONNX file in full precision.
        path: The file to write.

    Raises:
        MdnbenchError: The file cannot be quantised.
    """
    package("onnxruntime")
    try:
        _write(known, weights, whole, path)
    except (MdnbenchError, OSError):
        raise
    except Exception as error:  # an error of the quantiser, or of a plugin's noise or data set
        raise MdnbenchError(
            f"the ONNX file of {weights.card.method} cannot be written in eight bits: {export.reason(error)}"
        ) from error


def _write(known: Registry, weights: Weights, whole: Path, path: Path) -> None:
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    reader = _Reader(known, weights, whole)
    with temporary.folder("mdnbench-quantise") as folder, _quiet():
        ready = folder / "ready.onnx"
        quant_pre_process(whole, ready, skip_symbolic_shape=True)
        quantization.quantize_static(
            ready, path, reader, quant_format=quantization.QuantFormat.QDQ, per_channel=True,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.Percentile, op_types_to_quantize=OPERATORS,
            # One crop at a time, to save memory.
            extra_options={"CalibPercentile": PERCENTILE, "CalibStridedMinMax": 1},
        )  # fmt: skip
    model = onnx.load(path)
    facts = {each.key: each.value for each in onnx.load(whole, load_external_data=False).metadata_props}
    crops = f"{len(reader)} crops of training images"
    onnx.helper.set_model_props(model, facts | {"precision": "int8, per channel, QDQ", "calibrated_on": crops})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


class _Reader:
    """The calibration crops in the form that ONNX Runtime reads: it sets a range, then takes its crops in order."""

    def __init__(self, known: Registry, weights: Weights, whole: Path) -> None:
        session, self._count = Session(whole, "cpu"), len(images(known, weights))
        self._feeds: Iterator[dict[str, Any]] = (
            export.feeds(session, noisy, std) for noisy, std in batches(known, weights)
        )
        self._wanted = 0

    def set_range(self, start_index: int, end_index: int) -> None:
        """Set the range of the next crops. The crops of earlier ranges were taken already."""
        self._wanted = end_index - start_index

    def get_next(self) -> dict[str, Any] | None:
        """Return the next crop's inputs by name, or None after the last one of the range."""
        self._wanted -= 1
        return next(self._feeds) if self._wanted >= 0 else None

    def __len__(self) -> int:
        return self._count


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the quantiser's advice, which is followed already, and its output."""
    root, before = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(before)


COUNT, CROP = 32, 128


def images(known: Registry, weights: Weights) -> tuple[str, ...]:
    """Return the ids of the calibration images, spread evenly over those that the weights were trained on.

    Test images, images that overlap them, and validation images are excluded.

    Raises:
        Unavailable: The training data set is not registered, or the card has no recipe.
    """
    recipe = _recipe(weights)
    if recipe.data not in known.datasets:
        raise Unavailable(f"{recipe.data}, which {weights.name} was trained on, is no data set here.")
    everything = sorted(known.datasets[recipe.data].images)
    away = {*weights.card.left_out, *held_out(everything, recipe.validation.count)}
    used = [image for image in everything if image not in away]
    count = min(COUNT, len(used))
    return tuple(used[(2 * index + 1) * len(used) // (2 * count)] for index in range(count))


def batches(known: Registry, weights: Weights) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """Yield the calibration crops, the same ones every time.

    Yields:
        The noisy crop (1, C, H, W), and the standard deviation of its noise (1, 1, 1, 1), or None for a blind network.

    Raises:
        Unavailable: The training data cannot be obtained, or the card does not name it.
    """
    chosen, recipe = images(known, weights), _recipe(weights)
    spec = known.datasets[recipe.data]
    try:
        data.fetch(spec)
    except DataMissing as error:
        raise Unavailable(f"int8 is calibrated on the training images, and these are not here: {error}") from None
    try:
        loaded = patches.load(chosen, spec.load, inference.channels_of(weights))
    except OSError as error:
        raise Unavailable(f"int8 is calibrated on the training images, and one cannot be read: {error}") from None
    crop = min([CROP, *(side for image in loaded for side in image.shape[:2])])
    generator = torch.Generator().manual_seed(0)
    clean = patches.Patches(loaded, crop, "cpu", "none").draw(len(loaded), generator)
    noisy, std = TrainingNoise(recipe.noise, known.noises, weights.card.blind).draw(clean, generator)
    for index in range(len(noisy)):
        yield noisy[index : index + 1].contiguous(), None if std is None else std[index : index + 1]


def _recipe(weights: Weights) -> Recipe:
    if not weights.card.recipe:
        raise Unavailable(
            f"the card of the weights {weights.name} does not name their training data, which int8 is calibrated on; "
            "use other weights, or another precision."
        )
    return tomlfile.build(Recipe, weights.card.recipe, f"the recipe of the weights {weights.name}")

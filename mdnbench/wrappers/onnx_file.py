"""Make a method from an ONNX file, computed by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch

from mdnbench.errors import BadFile
from mdnbench.spec.names import Value
from mdnbench.wrappers import files, level_input
from mdnbench.wrappers import method_fields as abouts
from mdnbench.wrappers.level_input import NoiseLevel
from mdnbench.wrappers.method_fields import MethodFields
from mdnbench.wrappers.onnx_session import Session
from mdnbench.wrappers.tiling import Tiling, padded

if TYPE_CHECKING:
    from mdnbench.spec.records import NoiseInfo
    from mdnbench.spec.specs import Denoise, DenoiserSpec

_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


def wrap_onnx(
    name: str,
    file: str | Path,
    *,
    noise_level: NoiseLevel = "none",
    level_scale: float = 1.0,
    residual: bool = False,
    channels: tuple[int, ...] = (1,),
    by_channel: bool = False,
    multiple: int = 1,
    tile: int = 0,
    overlap: int = 64,
    **about: Unpack[MethodFields],
) -> DenoiserSpec:
    """Make a method from an ONNX file.

    The first input of the file is the noisy image (1, C, H, W), and the first output is the result. If the file was
    exported for one image size, images of any size are processed in tiles of that size.

    Args:
        name: The name of the method.
        file: The ONNX file.
        noise_level: As in `wrap_torch`; a 'scalar' level is the file's second input.
        level_scale: As in `wrap_torch`.
        residual: As in `wrap_torch`.
        channels: As in `wrap_torch`.
        by_channel: As in `wrap_torch`.
        multiple: As in `wrap_torch`.
        tile: As in `wrap_torch`.
        overlap: As in `wrap_torch`.
        **about: Optional fields of DenoiserSpec: revision, summary, options, packages, licence, citation, published_as,
            files, stabilise.

    """
    path, fitting = Path(file), Tiling(multiple, tile, overlap, by_channel)

    def build(options: Mapping[str, Value], device: str) -> Denoise:
        network = _OnnxFunction(Session(files.locate(path, name), device), noise_level)
        fitted = Tiling(1, network.side, overlap, by_channel) if network.side else fitting

        def denoise(noisy: torch.Tensor, noise: NoiseInfo) -> torch.Tensor:
            amount = level_input.of(noisy, noise, noise_level, level_scale)
            estimate = fitted(noisy, lambda image: padded(image, 1, lambda each: network(each, amount), network.side))
            return noisy - estimate if residual else estimate

        return denoise

    return abouts.spec(
        name, build, wants=level_input.wants(noise_level), channels=(1, 3) if by_channel else channels,
        packages=("onnxruntime",), about=about,
        content=(files.onnx_digest(path), noise_level, level_scale, residual, repr(fitting)),
    )  # fmt: skip


class _OnnxFunction:
    """A session as a function of an image (1, C, H, W) and a noise level."""

    def __init__(self, session: Session, noise_level: NoiseLevel) -> None:
        self._session, self._noise_level = session, noise_level
        self._inputs = session.inputs
        wanted = 2 if noise_level == "scalar" else 1
        if len(self._inputs) != wanted:
            names = ", ".join(each.name for each in self._inputs)
            raise BadFile(
                f"the ONNX file has {len(self._inputs)} inputs ({names}); noise_level={noise_level!r} is for {wanted}: "
                "the image, and for 'scalar' the level after it."
            )
        self.side = self._fixed_side()

    def __call__(self, image: torch.Tensor, amount: float) -> torch.Tensor:
        image = level_input.with_plane(image, amount) if self._noise_level == "plane" else image
        given = [image.cpu().numpy(), *([np.float32(amount)] if self._noise_level == "scalar" else [])]
        feeds = {each.name: _shaped(value, each) for each, value in zip(self._inputs, given, strict=True)}
        return torch.from_numpy(np.array(self._session.run(feeds), dtype=np.float32)).to(image.device)

    def _fixed_side(self) -> int:
        """Return the side of the images that the file was exported for, or 0 if it takes any size.

        Raises:
            BadFile: The file takes images of one size that is not square.

        """
        height, width = self._inputs[0].shape[-2:]
        if not isinstance(height, int) and not isinstance(width, int):
            return 0
        if height != width:
            raise BadFile(f"the ONNX file takes images of {width}x{height} alone; export it for any size, or square.")
        return int(height)


def _shaped(value: Any, wanted: Any) -> Any:
    """Return a value in the type of the file's input; a number gets as many axes of length one as the input has."""
    array = np.asarray(value, dtype=_TYPES.get(wanted.type, "float32"))
    return array if array.ndim else array.reshape([1] * len(wanted.shape))

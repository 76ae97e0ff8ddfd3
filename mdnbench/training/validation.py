"""The validation during training, which always uses the same held-out crops with the same noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mdnbench.errors import BadFile, UnknownName
from mdnbench.registry.plugin_errors import named_errors
from mdnbench.spec import names
from mdnbench.training.rng import TorchRng

if TYPE_CHECKING:
    from mdnbench.spec.specs import NoiseSpec
    from mdnbench.training.recipe import Validation


def held_out(images: Sequence[str], count: int) -> list[str]:
    """Return `count` ids that are spread evenly over a data set, always the same ones."""
    count = min(count, len(images) - 1)
    return [images[(2 * index + 1) * len(images) // (2 * count)] for index in range(count)]


def check(settings: Validation, noises: Mapping[str, NoiseSpec], blind: bool) -> None:
    """Check the noises of the validation.

    Raises:
        UnknownName: A noise does not exist.
        BadFile: A noise has no known level although the network needs it.
    """
    for text in settings.noise if settings.count else ():
        name, params = _parsed(text, noises)
        if not blind and noises[name].std(**params) is None:
            raise BadFile(
                f"the recipe validates under {text}, which has no level that the network could receive; set "
                "blind = true in the recipe, or validate under another noise, as validation.noise = ['gaussian:25']."
            )


def _parsed(text: str, noises: Mapping[str, NoiseSpec]) -> tuple[str, dict[str, Any]]:
    """Return the name and the parameters in the text of a noise."""
    name, given = names.split_noise(text)
    if name not in noises:
        raise UnknownName("noise", name, noises)
    return name, dict(names.resolve("noise", name, given, noises[name].parameters).numbers())


class Validator:
    """The mean PSNR (dB, unrounded, clamped) of a network over fixed noisy crops, which are never from a test image."""

    def __init__(
        self, images: Sequence[np.ndarray], settings: Validation, noises: Mapping[str, NoiseSpec], device: str
    ) -> None:
        """Make the noisy crops.

        Args:
            images: Images that are held out of the training, uint8 (H, W, C). Their centres are used.
            settings: The settings of the validation.
            noises: The registered noises.
            device: The device.
        """
        crop = min([settings.crop, *(side for image in images for side in image.shape[:2])])
        centres = np.stack([_centre(image, crop) for image in images]) if images else np.empty((0, 1, 1, 1), np.uint8)
        self._clean = torch.from_numpy(centres).permute(0, 3, 1, 2).float().div_(255).to(device)
        self._noisy = [self._make(text, noises) for text in settings.noise] if images else []

    def _make(self, text: str, noises: Mapping[str, NoiseSpec]) -> tuple[torch.Tensor, torch.Tensor | None]:
        name, params = _parsed(text, noises)
        # On the CPU, because every device must validate on the same pixels.
        generator = torch.Generator().manual_seed(0)
        noisy = noises[name].apply(self._clean.cpu(), TorchRng(generator), **params).to(self._clean.device)
        std = noises[name].std(**params)
        return noisy, None if std is None else torch.full((1, 1, 1, 1), std, device=noisy.device)

    @torch.no_grad()
    def psnr(self, network: torch.nn.Module, blind: bool, autocast: torch.autocast) -> float | None:
        """Return the mean PSNR in dB over all noises and crops, or None if there are none.

        Leave the network in training mode.
        """
        network.eval()
        values = []
        for noisy, std in self._noisy:
            for clean, image in zip(self._clean[:, None], noisy[:, None], strict=True):
                size = " x ".join(map(str, image.shape[-2:]))
                with named_errors(f"the network is validated on {size} pixels"), autocast:
                    estimate = network(image, None if blind else std)
                error = (estimate.float().clamp(0, 1) - clean).square().mean()
                values.append(-10 * torch.log10(error).item())
        network.train()
        return float(np.mean(values)) if values else None


def _centre(image: np.ndarray, crop: int) -> np.ndarray:
    top, left = (image.shape[0] - crop) // 2, (image.shape[1] - crop) // 2
    return image[top : top + crop, left : left + crop]

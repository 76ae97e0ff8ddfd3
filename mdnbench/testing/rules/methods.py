"""A method to check: it is built and called as in a worker, and its output is returned unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mdnbench.engine.process_state import ProcessState, restore
from mdnbench.evaluation.adapters import to_numpy, to_tensor
from mdnbench.evaluation.cases import reduced_noise_info
from mdnbench.spec.names import Value
from mdnbench.spec.records import NoiseInfo
from mdnbench.testing.rules import samples
from mdnbench.util.digests import of_pixels

if TYPE_CHECKING:
    from mdnbench.spec.specs import Denoise, DenoiserSpec, Image
    from mdnbench.weights import Weights

KNOWN = NoiseInfo("gaussian", {"sigma": samples.STD * 255}, samples.STD, "known")


@dataclass(frozen=True, slots=True)
class MethodSubject:
    """A denoiser to check.

    Attributes:
        spec: The denoiser's spec.
        weights: The weights that it uses, if it is learned.
        before: The state of the process before any plugin ran in it.
        scores: The scores of another method's output, computed in a process without plugins.
    """

    spec: DenoiserSpec
    weights: Weights | None
    before: ProcessState
    scores: tuple[float, ...] = ()

    @property
    def known(self) -> NoiseInfo:
        """Return all information about the usual noise."""
        return KNOWN

    @property
    def channels(self) -> int:
        """Return the first number of channels that the method declares."""
        return self.spec.channels[0] if self.spec.channels else 1

    def noisy(self, seed: int = 0, channels: int = 0, size: tuple[int, int] = samples.SIZE) -> Image:
        """Return a noisy image, with the first number of channels that the method declares or with another one."""
        return samples.noisy(samples.clean(channels or self.channels, size), seed)

    def build(self, options: Mapping[str, Value] | None = None) -> Denoise:
        """Return the method, newly built in a restored process state."""
        restore(self.before)
        return self.spec.build(options or samples.values(self.spec.options), "cpu", self.weights)

    def call(self, denoise: Denoise, noisy: Image, info: NoiseInfo = KNOWN) -> Any:
        """Return the output for an image in a restored process state: a tensor, if the method keeps the contract."""
        restore(self.before, seed=1)
        return self.raw(denoise, to_tensor(noisy), reduced_noise_info(info, self.spec.wants))

    def raw(self, denoise: Denoise, noisy: torch.Tensor, told: NoiseInfo | None = None) -> Any:
        """Return the method's output for a tensor (1, C, H, W), without restoring the process state.

        Args:
            denoise: The built method.
            noisy: The noisy image.
            told: What the method may know about the noise; by default, what it wants to know about the usual noise.
        """
        with torch.no_grad():
            output: Any = denoise(noisy, told or reduced_noise_info(KNOWN, self.spec.wants))
        return output.detach().clone() if isinstance(output, torch.Tensor) else output

    def fingerprint(self) -> str:
        """Return the digest of the method's output on the usual image, which must be the same in every process."""
        return of_pixels(to_numpy(self.call(self.build(), self.noisy())))


def same(one: Any, other: Any) -> bool:
    """Return whether two outputs are equal to the last bit."""
    return torch.equal(one, other)


def distance(one: Any, other: Any) -> float:
    """Return the largest difference of two outputs in any value."""
    return float((one - other).abs().max())

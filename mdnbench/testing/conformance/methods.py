"""A method under examination: built as a worker builds it, called as a worker calls it, and its output as it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdnbench.engine.bench import tell
from mdnbench.engine.state import State, restore
from mdnbench.spec.names import Value
from mdnbench.spec.records import NoiseInfo
from mdnbench.testing.conformance import samples

if TYPE_CHECKING:
    import torch

    from mdnbench.spec.specs import Denoise, DenoiserSpec, Image
    from mdnbench.weights import Weights

KNOWN = NoiseInfo("gaussian", {"sigma": samples.STD * 255}, samples.STD, "known")


@dataclass(frozen=True, slots=True)
class Method:
    """A denoiser's spec with the weights that it uses, and the scores that another method has where none has run."""

    spec: DenoiserSpec
    weights: Weights | None
    before: State
    scores: tuple[float, ...] = ()

    @property
    def known(self) -> NoiseInfo:
        """All that can be known of the usual noise."""
        return KNOWN

    @property
    def channels(self) -> int:
        """The first number of channels that it declares."""
        return self.spec.channels[0] if self.spec.channels else 1

    def noisy(self, seed: int = 0, channels: int = 0, size: tuple[int, int] = samples.SIZE) -> Image:
        """An image with noise, of the first number of channels that it declares or of another."""
        return samples.noisy(samples.clean(channels or self.channels, size), seed)

    def build(self, options: Mapping[str, Value] | None = None) -> Denoise:
        """A fresh build in a clean process state."""
        restore(self.before)
        return self.spec.build(options or samples.values(self.spec.options), "cpu", self.weights)

    def call(self, denoise: Denoise, noisy: Image, info: NoiseInfo = KNOWN) -> Any:
        """What it gives back for an image in a clean process state: a tensor, unless it breaks the contract."""
        from mdnbench.evaluation.adapters import to_tensor

        restore(self.before, seed=1)
        return self.raw(denoise, to_tensor(noisy), tell(info, self.spec.wants))

    def raw(self, denoise: Denoise, noisy: torch.Tensor, told: NoiseInfo | None = None) -> Any:
        """The bare call with a tensor (1, C, H, W); without `told`, it is told what it wants of the usual noise."""
        import torch

        with torch.no_grad():
            output: Any = denoise(noisy, told or tell(KNOWN, self.spec.wants))
        return output.detach().clone() if isinstance(output, torch.Tensor) else output

    def fingerprint(self) -> str:
        """The digest of its output on the usual image: the same in every process."""
        from mdnbench.evaluation.adapters import to_numpy
        from mdnbench.util.digests import of_pixels

        return of_pixels(to_numpy(self.call(self.build(), self.noisy())))


def same(one: Any, other: Any) -> bool:
    """Whether two outputs are equal to the last bit."""
    import torch

    return torch.equal(one, other)


def distance(one: Any, other: Any) -> float:
    """The largest difference of two outputs, anywhere."""
    return float((one - other).abs().max())

"""What the wrappers' tests share: a real image under real noise, and the networks that mdnbench ships, as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mdnbench_dncnn
from mdnbench import NoiseInfo, registry
from mdnbench.spec.specs import Denoise, DenoiserSpec

STD = 25 / 255


@pytest.fixture(scope="session")
def clean() -> Any:
    """A gray photograph (1, 1, 96, 83) in [0, 1]: sides that no power of two divides."""
    image = registry.load().datasets["sk12"].load("01")[60:156, 50:133]
    return torch.from_numpy(np.ascontiguousarray(image))[None, None]


@pytest.fixture(scope="session")
def noisy(clean: Any) -> Any:
    """The photograph under Gaussian noise of sigma 25."""
    return clean + STD * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def colour(clean: Any) -> Any:
    """A noisy colour image (1, 3, 64, 56)."""
    planes = torch.cat([clean[..., :64, :56], clean[..., 20:84, :56], clean[..., :64, 27:83]], dim=1)
    return planes + STD * torch.randn(planes.shape, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="session")
def shipped_file() -> Path:
    """The weights of DnCNN that are shipped, as a safetensors file in half precision."""
    return Path(mdnbench_dncnn.__file__).parent / "weights" / "gaussian.safetensors"


@pytest.fixture(scope="session")
def dncnn() -> Callable[..., Any]:
    """What makes the network that these weights are of: 17 convolutions of 3×3, which see 35×35 pixels."""

    def make() -> Any:
        from mdnbench_dncnn.network import DnCNN

        return DnCNN(17, 1, norm=False)

    return make


@pytest.fixture(scope="session")
def shipped(dncnn: Callable[..., Any], shipped_file: Path) -> Any:
    """DnCNN with these weights, made without any wrapper."""
    from safetensors.torch import load_file

    module = dncnn()
    module.load_state_dict({key: tensor.float() for key, tensor in load_file(shipped_file).items()})
    return torch.inference_mode()(module.eval())


@pytest.fixture(scope="session")
def told() -> NoiseInfo:
    """What a method is told of the noise in `noisy`."""
    return NoiseInfo(std=STD, source="known")


@pytest.fixture(scope="session")
def built() -> Callable[..., Denoise]:
    """`built(spec, strength=2)` is a spec's denoiser, with options at their defaults where not given."""

    def build(spec: DenoiserSpec, device: str = "cpu", **options: Any) -> Denoise:
        defaults: dict[str, Any] = {option.name: option.fallback() for option in spec.options}
        return spec.build(defaults | options, device, None)

    return build

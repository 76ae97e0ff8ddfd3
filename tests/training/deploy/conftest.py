"""What the tests of deployment share: shipped weights whose card names photographs at hand, and files made of them."""

from __future__ import annotations

import dataclasses
import os
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock

from mdnbench import NoiseInfo, registry, weights
from mdnbench.evaluation.adapters import to_tensor
from mdnbench.registry import Registry, variants
from mdnbench.spec.specs import Denoise
from mdnbench.spec.weights import NoiseCoverage
from mdnbench.training.deploy import building, models
from mdnbench.util import paths
from mdnbench.weights import Weights

STD = 50 / 255

PLUGIN = '''
    """Cuts of scikit-image's photographs as training data; the first is a part of an image of the test set sk12."""
    from pathlib import Path

    import skimage

    from mdnbench import DatasetSpec, hookimpl
    from mdnbench.data import images

    CUTS = {
        "cat": ("chelsea.png", 20, 110), "bike": ("motorcycle_right.png", 100, 200), "moon": ("moon.png", 100, 100),
        "page": ("page.png", 20, 20), "rocket": ("rocket.jpg", 100, 200), "stars": ("hubble_deep_field.jpg", 300, 300),
    }

    def load(name):
        file, top, left = CUTS[name]
        picture = images.to_gray(images.read_image(Path(skimage.__file__).parent / "data" / file))
        return picture[top : top + 128, left : left + 128]

    @hookimpl
    def mdnbench_datasets():
        return [DatasetSpec("own", "cuts of photographs", "train", 1, tuple(CUTS), load)]
'''


@pytest.fixture(scope="session")
def plugin_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin file with the training data."""
    path = tmp_path_factory.mktemp("plugin") / "own.py"
    path.write_text(textwrap.dedent(PLUGIN), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def known(plugin_file: Path) -> Registry:
    """All plugins, and the photographs."""
    return registry.load([plugin_file])


def own_weights(known: Registry, method: str) -> Weights:
    """The shipped weights of a method as `own` in this home, as if they had been trained on the photographs."""
    shipped = weights.find(known.denoisers[method], "gaussian")
    recipe = shipped.card.recipe | {"data": "own", "validation": {"count": 1}}
    card = dataclasses.replace(shipped.card, recipe=recipe, left_out=("cat",))
    return weights.save(paths.home() / "weights" / method, "own", weights.load_state(shipped), card, half=True)


@pytest.fixture(scope="session")
def made_home(known: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds unet's weights, its ONNX file and the same in eight bits.

    Making these takes a while: processes that run tests side by side share it, and all but one wait.
    """
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "deployed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDNBENCH_HOME", str(home))
        with FileLock(home.with_suffix(".lock")):
            at_hand = (home / "weights" / "unet" / "own.toml").exists()  # or else it would change while others copy it
            found = weights.find(known.denoisers["unet"], "own") if at_hand else own_weights(known, "unet")
        models.obtain(known, known.denoisers["unet"], found, "int8")
    return home


@pytest.fixture
def home(workspace: Path, made_home: Path) -> Path:
    """A copy of that home for one test."""
    return Path(shutil.copytree(made_home, workspace / "home"))


@pytest.fixture
def own(known: Registry) -> Callable[[str], Weights]:
    """`own("dncnn")` puts a method's shipped weights into this home, as those that were trained on the photographs."""
    return lambda method: own_weights(known, method)


@pytest.fixture
def found(home: Path, known: Registry) -> Weights:
    """The weights of unet in this home."""
    return weights.find(known.denoisers["unet"], "own")


NETWORK = '''
    """A network of one convolution."""
    from pathlib import Path

    from mdnbench import DenoiserSpec, Trainable, hookimpl
    from mdnbench.wrappers import inference

    def network(*, blind):
        import torch.nn.functional as F
        from torch import nn

        class Network(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Conv2d(1, 1, 3, padding=1)

            def forward(self, noisy, std=None):
                return FORWARD

        return Network()

    def build(options, device, found):
        module = inference.placed(inference.fill(network(blind=True), found), device)
        return inference.denoiser(inference.in_torch(module), found)

    @hookimpl
    def mdnbench_denoisers():
        trainable = Trainable(network, None, Path("recipes"), Path("shipped"))
        return [DenoiserSpec("convolution", "1", "one convolution", build, trainable=trainable)]
'''


@pytest.fixture
def convolution(workspace: Path) -> Callable[[str], tuple[Path, Weights]]:
    """`convolution("self.layer(noisy)")` is a plugin file with such a network, and weights for it, always the same."""

    def make(forward: str) -> tuple[Path, Weights]:
        path = workspace / "convolution.py"
        path.write_text(textwrap.dedent(NETWORK).replace("FORWARD", forward), encoding="utf-8")
        state = {"layer.weight": torch.full((1, 1, 3, 3), 0.1), "layer.bias": torch.zeros(1)}
        card = weights.Card("convolution", blind=True, noise=(NoiseCoverage("gaussian", {"sigma": (0.0, 75.0)}),))
        return path, weights.save(paths.home() / "weights" / "convolution", "one", state, card)

    return make


@pytest.fixture(scope="session")
def clean(known: Registry) -> Any:
    """A photograph's part as float32 (96, 83) in [0, 1]: sides that no power of two divides."""
    return np.ascontiguousarray(known.datasets["sk12"].load("01")[60:156, 50:133])


@pytest.fixture(scope="session")
def noisy(clean: Any) -> torch.Tensor:
    """The photograph under Gaussian noise of sigma 50, (1, 1, 96, 83)."""
    return to_tensor(clean + STD * np.random.default_rng(1).standard_normal(clean.shape).astype(np.float32))


@pytest.fixture
def told() -> NoiseInfo:
    """What a method is told of the noise in `noisy`."""
    return NoiseInfo(std=STD, source="known")


@pytest.fixture
def built(known: Registry) -> Callable[..., Denoise]:
    """`built("unet[precision=int8]")` is the method as a worker builds it, with the weights that it names."""

    def build(text: str, device: str = "cpu") -> Denoise:
        named = known.method(text)
        spec = known.denoisers[named.name]
        resolved = weights.resolve(spec, named, known.noise("gaussian:50"))
        chosen = resolved.weights if resolved else None
        if variants.of(spec, named).plain:
            return spec.build(variants.own(spec, named), device, chosen)
        return building.build(known, spec, named, device, chosen)

    return build


@pytest.fixture(scope="session")
def psnr(clean: Any) -> Callable[[torch.Tensor], float]:
    """`psnr(image)` is that of an image (1, 1, 96, 83) against the photograph, in dB."""

    def score(image: torch.Tensor) -> float:
        error = image.clamp(0, 1)[0, 0].numpy() - clean
        return float(-10 * np.log10(np.mean(error**2)))

    return score

"""What the tests of training share: a tiny learned method in a plugin file, photographs to train it on, its recipe."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import registry
from mdnbench.registry import Registry
from mdnbench.training import loop
from mdnbench.training import recipe as recipes
from mdnbench.training.recipe import Recipe
from mdnbench.weights import Weights

PLUGIN = '''
    """A tiny learned method, and six cuts of scikit-image's photographs, one of which overlaps the test set sk12."""
    from pathlib import Path

    import skimage

    from mdnbench import DatasetSpec, DenoiserSpec, Option, Trainable, Unavailable, hookimpl, weights
    from mdnbench.data import images

    HERE = Path(__file__).parent
    CUTS = {
        "bike": ("motorcycle_right.png", 100, 200, 64), "cat": ("chelsea.png", 20, 110, 128),
        "moon": ("moon.png", 100, 100, 64), "page": ("page.png", 20, 20, 64), "rocket": ("rocket.jpg", 100, 200, 64),
        "stars": ("hubble_deep_field.jpg", 300, 300, 64),
    }

    def load(name):
        file, top, left, size = CUTS[name]
        picture = images.to_gray(images.read_image(Path(skimage.__file__).parent / "data" / file))
        return picture[top : top + size, left : left + size]

    def network(*, blind, dropout=0.0):
        """Both a dropout and a batch normalisation: what resuming exactly must not forget."""
        from torch import nn

        class Tiny(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(
                    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(dropout),
                    nn.Conv2d(16, 1, 3, padding=1),
                )

            def forward(self, noisy, std=None):
                return noisy - self.layers(noisy)

        return Tiny()

    def loss(network, clean, noisy, std, rng, moment, recipe):
        return (network(noisy, std).float() - clean).square().mean()

    def build(options, device, found):
        import torch

        if found is None:
            raise Unavailable("tiny has no weights.")
        made = network(blind=True).eval()
        made.load_state_dict(weights.load_state(found))
        return lambda noisy, noise: torch.inference_mode()(made)(noisy)

    @hookimpl
    def mdnbench_datasets():
        return [DatasetSpec("own", "cuts of photographs", "train", 1, tuple(CUTS), load)]

    @hookimpl
    def mdnbench_denoisers():
        trainable = Trainable(network, loss, HERE / "recipes", HERE / "shipped")
        dropout = Option("dropout", float, 0.1, "the share of features that is dropped", minimum=0.0, maximum=0.9)
        return [DenoiserSpec("tiny", "1", "a tiny network", build, (dropout,), channels=(1,), trainable=trainable)]
'''

RECIPE = """
    summary = "For tests"
    data = "own"
    crop = 16
    batch = 2
    blind = true
    ema = 0.5
    precision = "fp32"

    [[noise]]
    family = "gaussian"
    ranges = { sigma = [20, 30] }

    [optimiser]
    lr = 1e-2
    warmup = 0

    [validation]
    count = 2
    crop = 32
    every = 4
    noise = ["gaussian:25"]

    [budget]
    steps = 8
"""


@pytest.fixture(scope="session")
def plugin_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin file, its recipe `best` beside it."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "recipes").mkdir()
    (folder / "recipes" / "best.toml").write_text(textwrap.dedent(RECIPE), encoding="utf-8")
    path = folder / "tiny.py"
    path.write_text(textwrap.dedent(PLUGIN), encoding="utf-8")
    return path


@pytest.fixture
def edited(plugin_file: Path, workspace: Path) -> Callable[[str, str], Path]:
    """`edited(old, new)` is a copy of the plugin file with something else in it, its recipe beside it."""

    def copy(old: str, new: str) -> Path:
        folder = workspace / "edited"
        shutil.copytree(plugin_file.parent / "recipes", folder / "recipes", dirs_exist_ok=True)
        text = plugin_file.read_text(encoding="utf-8")
        assert old in text
        (folder / "tiny.py").write_text(text.replace(old, new), encoding="utf-8")
        return folder / "tiny.py"

    return copy


@pytest.fixture(scope="session")
def known(plugin_file: Path) -> Registry:
    """All plugins and the tiny one."""
    return registry.load([plugin_file])


@pytest.fixture(scope="session")
def recipe(plugin_file: Path) -> Recipe:
    """The tiny method's recipe."""
    return recipes.read(plugin_file.parent / "recipes" / "best.toml")


@pytest.fixture(scope="session")
def leaks_at_hand(known: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the leak guard has compared the photographs with sk12 already: once for all tests."""
    from mdnbench.data import leaks

    home = tmp_path_factory.mktemp("leaks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDNBENCH_HOME", str(home))
        leaks.cached_leaks(known.datasets["own"], known.datasets["sk12"], jobs=1)
    return home / "leaks"


@pytest.fixture(autouse=True)
def no_reports_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training reports at its validations alone, however slow the machine is."""
    monkeypatch.setattr(loop, "REPORT_EVERY_S", float("inf"))


@pytest.fixture
def home(workspace: Path, leaks_at_hand: Path, no_data: None) -> Path:
    """A home where the leak guard remembers, on a machine that has no data files."""
    shutil.copytree(leaks_at_hand, workspace / "home" / "leaks")
    return workspace / "home"


@pytest.fixture
def fit(known: Registry, recipe: Recipe) -> Callable[..., Weights]:
    """`fit("tiny", steps=8, ema=0.9, …)` trains a method in this process, on one thread, without the leak guard."""

    def run(method: str = "tiny", *, changes: dict[str, Any] | None = None, **settings: Any) -> Weights:
        named = known.method(method)
        chosen = recipes.override(settings.pop("recipe", recipe), changes or {})
        budget = {key: settings.pop(key) for key in ("steps", "minutes", "epochs") if key in settings}
        return loop.train(
            known.denoisers[named.name], named, chosen.within(**budget), data=known.datasets["own"],
            noises=known.noises, threads=1, **settings,
        )  # fmt: skip

    return run

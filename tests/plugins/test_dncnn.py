"""DnCNN: folding, sizes, colours, its loss and its recipes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from mdnbench import registry, weights
from mdnbench.errors import BadFile, Unavailable, WeightsError
from mdnbench.registry import Registry
from mdnbench.spec.records import NoiseInfo
from mdnbench.training import recipe as recipes
from mdnbench.training.progress_meter import TrainingClock
from mdnbench.training.recipe import Moment
from mdnbench.training.rng import TorchRng
from mdnbench.weights import Card, Weights
from mdnbench_dncnn.network import DnCNN, folded


@pytest.fixture(scope="module")
def known() -> Registry:
    """All plugins."""
    return registry.load()


def made(network: DnCNN, **options: Any) -> Weights:
    """A weights file of a network, in a folder here."""
    card = Card("dncnn", {"depth": network.depth, "colour": network.channels == 3, **options}, blind=True)
    return weights.save(Path("weights"), "own", folded(network), card)


def untrained(depth: int = 17, channels: int = 1) -> DnCNN:
    """A network whose every weight and statistic is random, so that nothing cancels; in evaluation mode."""
    torch.manual_seed(depth)
    network = DnCNN(depth, channels, norm=True)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2.0)
        elif value.ndim == 1:
            value.normal_(0.5, 0.1)
    torch.nn.init.normal_(network.layers[-1].weight, std=0.01)  # type: ignore[arg-type]
    return network.eval()


def noisy(channels: int, height: int, width: int) -> torch.Tensor:
    """A random image that leaves [0, 1]."""
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(2)) * 0.4 + 0.5


def test_normalisation_folds_away(known: Registry) -> None:
    """What is kept after training has no normalisation and gives what the network gave in evaluation mode."""
    network, image = untrained(), noisy(1, 20, 22)
    state = folded(network)
    assert len(state) == 34
    assert not any("norm" in name for name in state)
    denoise = known.denoisers["dncnn"].build({}, "cpu", made(network))
    with torch.no_grad():
        torch.testing.assert_close(denoise(image, NoiseInfo()), network(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(17, 33), (256, 255), (1, 1)])
def test_any_size_is_kept_and_the_input_left_alone(known: Registry, height: int, width: int) -> None:
    """Odd sizes and single pixels come back in their own shape, finite, with the noisy image unchanged."""
    image = noisy(1, height, width)
    before = image.clone()
    result = known.denoisers["dncnn"].build({}, "cpu", made(untrained()))(image, NoiseInfo())
    assert result.shape == image.shape
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    assert torch.isfinite(result).all()
    assert (result != image).any()
    assert torch.equal(image, before)


def test_colour_by_a_network_for_it_or_channel_by_channel(known: Registry) -> None:
    """A gray network takes the channels one by one; one for colour takes them together, and no gray image."""
    image, spec = noisy(3, 9, 11), known.denoisers["dncnn"]
    by_channel = spec.build({}, "cpu", made(untrained()))
    together = by_channel(image, NoiseInfo())
    for channel in range(3):
        alone = by_channel(image[:, channel : channel + 1], NoiseInfo())
        torch.testing.assert_close(together[:, channel : channel + 1], alone, rtol=0, atol=1e-6)
    colour = untrained(20, 3)
    denoise = spec.build({}, "cpu", made(colour))
    with torch.no_grad():
        torch.testing.assert_close(denoise(image, NoiseInfo()), colour(image), rtol=0, atol=1e-5)
    with pytest.raises(Unavailable, match="colour"):
        denoise(noisy(1, 9, 11), NoiseInfo())


def test_it_starts_by_changing_nothing() -> None:
    """Before training, the estimate is the noisy image."""
    image = noisy(1, 8, 8)
    assert torch.equal(DnCNN(17, 1, norm=True)(image), image)


def test_wrong_or_missing_weights(known: Registry) -> None:
    """Without weights it is unavailable; with those of another network than their card says, an error."""
    spec = known.denoisers["dncnn"]
    with pytest.raises(Unavailable, match="no weights"):
        spec.build({}, "cpu", None)
    with pytest.raises(WeightsError, match="another network than their card says"):
        spec.build({}, "cpu", made(untrained(), depth=20))


@pytest.mark.parametrize(("kind", "expected"), [("l1", 0.25), ("l2", 0.0625)])
def test_the_loss(known: Registry, kind: str, expected: float) -> None:
    """Mean absolute or squared error, in full precision."""
    trainable = known.denoisers["dncnn"].trainable
    assert trainable
    recipe = recipes.override(recipes.named(trainable.recipes, "best"), {"loss": {"kind": kind}})
    clean, rng = torch.full((2, 1, 8, 8), 0.5), TorchRng(torch.Generator())
    value = trainable.loss(DnCNN(17, 1, norm=True), clean, clean + 0.25, None, rng, Moment(0, 0.0), recipe)
    assert value.item() == pytest.approx(expected)


def test_what_its_loss_does_not_know_is_refused(known: Registry) -> None:
    """A mask, coarser scales or another penalty is an error, so that no card claims what was not done."""
    trainable = known.denoisers["dncnn"].trainable
    assert trainable
    clean, rng = torch.zeros(1, 1, 8, 8), TorchRng(torch.Generator())
    losses = ({"stages": 1}, {"kind": "charbonnier"}, {"kind": "rmse"})
    for changes in ({"mask": {"start": 0.3}}, *({"loss": loss} for loss in losses)):
        recipe = recipes.override(recipes.named(trainable.recipes, "best"), changes)
        with pytest.raises(BadFile, match="dncnn is trained with the loss l1 or l2"):
            trainable.loss(DnCNN(17, 1, norm=True), clean, clean, None, rng, Moment(0, 0.0), recipe)


def test_the_papers_recipe(known: Registry) -> None:
    """50 epochs of 3,000 batches of 128 patches of 50×50 in four scales, Adam from 1e-3 to 1e-4, levels up to 55."""
    trainable = known.denoisers["dncnn"].trainable
    assert trainable
    paper = recipes.named(trainable.recipes, "paper")
    clock = TrainingClock(paper, images=400)
    clock.step = 75_000
    assert clock.progress() == 0.5
    assert (paper.batch, paper.crop, paper.scales) == (128, 50, (1.0, 0.9, 0.8, 0.7))
    assert (paper.optimiser.lr, paper.schedule.final, paper.noise[0].ranges) == (1e-3, 1e-4, {"sigma": (0.0, 55.0)})
    assert dataclasses.replace(paper, budget=recipes.Budget(minutes=5)) == paper.within(minutes=5)

"""The masked U-Net and its control: what a mask does, what it never does, and any size of image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from mdnbench import registry, weights
from mdnbench.errors import Unavailable, WeightsError
from mdnbench.registry import Registry
from mdnbench.spec.names import Value
from mdnbench.spec.records import NoiseInfo
from mdnbench.spec.specs import Trainable
from mdnbench.training import recipe as recipes
from mdnbench.training.recipe import Mask, Moment, Recipe
from mdnbench.training.rng import TorchRng
from mdnbench.weights import Card, Weights
from mdnbench_masked_unet import loss as losses
from mdnbench_masked_unet.network import MaskAttention, UNet, make, pad

WIDTHS = (8, 12, 16, 20)
OPTIONS: dict[str, Value] = {"size": "default", "colour": False}
STD = torch.full((1, 1, 1, 1), 0.1)


@pytest.fixture(scope="module")
def known() -> Registry:
    """All plugins."""
    return registry.load()


@pytest.fixture(scope="module")
def trainable(known: Registry) -> Trainable:
    """What the masked network says about its training."""
    found = known.denoisers["masked-unet"].trainable
    assert found
    return found


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Weights]:
    """Weights files of both networks in their default size, not trained, told the noise level."""
    torch.manual_seed(1)
    folder, made = tmp_path_factory.mktemp("weights"), {}
    for name in ("masked-unet", "unet"):
        state = make(name == "masked-unet", blind=False, size="default", colour=False).state_dict()
        made[name] = weights.save(folder, name, state, Card(name, OPTIONS))
    return made


@pytest.fixture
def network() -> UNet:
    """A narrow masked network with the real one's depth, untrained."""
    torch.manual_seed(1)
    return UNet(1, False, True, WIDTHS).eval()


def image(*shape: int, seed: int = 1) -> torch.Tensor:
    """Random pixels."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def mask_of(*shape: int, ratio: float = 0.3) -> torch.Tensor:
    """A random mask with that share of its pixels hidden."""
    return (image(*shape, seed=7) < ratio).float()


@torch.no_grad()
def test_hidden_pixels_never_reach_the_network(network: UNet) -> None:
    """Whatever stands at hidden positions, the output is the same to the last bit; kept pixels do matter."""
    noisy, mask = image(2, 1, 32, 48), mask_of(2, 1, 32, 48)
    changed = torch.where(mask > 0, image(2, 1, 32, 48, seed=3) * 1000, noisy)
    assert torch.equal(network(noisy, STD, mask), network(changed, STD, mask))
    assert not torch.equal(network(noisy, STD), network(changed, STD))
    position = tuple((mask == 0).nonzero()[0])
    noisy[position] += 0.5
    assert not torch.equal(network(noisy, STD, mask), network(changed, STD, mask))


@torch.no_grad()
def test_hidden_is_not_black(network: UNet) -> None:
    """The network is told what is hidden: a hidden pixel is not a kept one of value zero."""
    noisy, mask = image(1, 1, 32, 32), mask_of(1, 1, 32, 32)
    assert not torch.allclose(network(noisy, STD, mask), network(noisy * (1 - mask), STD), atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(2, 1, 32, 48), (1, 1, 17, 33)])
def test_a_mask_of_zeros_changes_nothing(network: UNet, shape: tuple[int, ...]) -> None:
    """Nothing hidden is no mask, to the last bit: what is trained with masks is used without."""
    noisy = image(*shape)
    assert torch.equal(network(noisy, STD, torch.zeros(shape)), network(noisy, STD))


@torch.no_grad()
def test_attention_leaves_kept_features_alone_at_every_level(network: UNet) -> None:
    """At each encoder level features without a hidden pixel pass unchanged, others are made smaller, never larger."""
    seen: list[int] = []

    def check(module: MaskAttention, given: tuple[torch.Tensor, torch.Tensor], result: torch.Tensor) -> None:
        features, hidden = given
        assert hidden.shape[2:] == features.shape[2:]
        kept = (hidden == 0).expand_as(features)
        assert kept.any()
        assert torch.equal(result[kept], features[kept])
        assert (result[~kept].abs() <= features[~kept].abs()).all()
        assert (result[~kept] != features[~kept]).any()
        seen.append(features.shape[1])

    assert network.attention is not None
    for module in network.attention:
        module.register_forward_hook(check)
    mask = mask_of(1, 1, 64, 64)
    mask[..., :32, :] = 0
    network(image(1, 1, 64, 64), STD, mask)
    assert seen == list(WIDTHS[:-1])


@torch.no_grad()
def test_the_control_differs_in_what_masks_need_alone(network: UNet) -> None:
    """Without a mask, the masked network is the plain one: the same weights give the same output."""
    plain = UNet(1, False, False, WIDTHS).eval()
    extra = set(network.state_dict()) - set(plain.state_dict())
    assert all(name.startswith(("attention.", "hide.")) for name in extra)
    plain.load_state_dict({name: value for name, value in network.state_dict().items() if name not in extra})
    noisy = image(1, 1, 24, 40)
    assert torch.equal(plain(noisy, STD), network(noisy, STD))


@torch.no_grad()
@pytest.mark.parametrize("name", ["masked-unet", "unet"])
@pytest.mark.parametrize(("height", "width"), [(17, 33), (256, 255), (3, 1)])
def test_any_size_is_kept(known: Registry, untrained: dict[str, Weights], name: str, height: int, width: int) -> None:
    """Odd sizes come back in their own shape, contiguous and finite, from the network as it is shipped."""
    noisy = image(1, 1, height, width)
    before = noisy.clone()
    result = known.denoisers[name].build(OPTIONS, "cpu", untrained[name])(noisy, NoiseInfo(std=0.1, source="known"))
    assert result.shape == noisy.shape
    assert result.is_contiguous()
    assert torch.isfinite(result).all()
    assert torch.equal(noisy, before)


def test_padding_repeats_the_border() -> None:
    """Below and right alone, up to the next multiple; a size that fits stays as it is."""
    small = image(1, 1, 17, 33)
    padded = pad(small, 16)
    assert padded.shape == (1, 1, 32, 48)
    assert torch.equal(padded[..., :17, :33], small)
    assert torch.equal(padded[..., 17:, :33], small[..., -1:, :].expand(1, 1, 15, 33))
    assert pad(padded, 16) is padded


@torch.no_grad()
def test_levels_blindness_and_colour(known: Registry, untrained: dict[str, Weights]) -> None:
    """A told level matters, a blind network takes none, gray networks take colour channel by channel."""
    spec = known.denoisers["unet"]
    torch.manual_seed(1)
    blind = make(False, blind=True, size="default", colour=False)
    noisy = image(1, 3, 20, 16)
    by_level = spec.build(OPTIONS, "cpu", untrained["unet"])
    card = Card("unet", OPTIONS, blind=True)
    by_itself = spec.build(OPTIONS, "cpu", weights.save(Path("w"), "blind", blind.state_dict(), card))
    low, high = (by_level(noisy, NoiseInfo(std=std)) for std in (0.05, 0.3))
    assert not torch.allclose(low, high)
    estimated = by_level(noisy, NoiseInfo())
    assert torch.isfinite(estimated).all()
    assert torch.equal(by_itself(noisy, NoiseInfo(std=0.05)), by_itself(noisy, NoiseInfo()))
    alone = by_level(noisy[:, 1:2], NoiseInfo(std=0.05))
    torch.testing.assert_close(low[:, 1:2], alone, rtol=0, atol=1e-6)
    colour = {**OPTIONS, "colour": True}
    network = make(False, blind=True, size="default", colour=True)
    card = Card("unet", colour, blind=True)
    together = spec.build(colour, "cpu", weights.save(Path("w"), "colour", network.state_dict(), card))
    assert together(noisy, NoiseInfo()).shape == noisy.shape
    with pytest.raises(Unavailable, match="colour"):
        together(noisy[:, :1], NoiseInfo())


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 3])
def test_a_flat_image_without_a_level(known: Registry, untrained: dict[str, Weights], channels: int) -> None:
    """Where nothing varies, the estimated level is 0: the result is that of the level 0, not a picture of nothing."""
    flat = torch.zeros(1, channels, 32, 32)
    denoise = known.denoisers["unet"].build(OPTIONS, "cpu", untrained["unet"])
    estimated = denoise(flat, NoiseInfo())
    assert torch.isfinite(estimated).all()
    assert torch.equal(estimated, denoise(flat, NoiseInfo(std=0.0)))


def test_wrong_or_missing_weights(known: Registry) -> None:
    """Without weights they are unavailable; with those of another network than their card says, an error."""
    state = UNet(1, False, False, WIDTHS).state_dict()
    made = weights.save(Path("w"), "own", state, Card("unet", OPTIONS))
    with pytest.raises(WeightsError, match="another network than their card says"):
        known.denoisers["unet"].build(OPTIONS, "cpu", made)
    for name in ("unet", "masked-unet"):
        with pytest.raises(Unavailable, match=f"{name} has no weights"):
            known.denoisers[name].build(OPTIONS, "cpu", None)


def test_the_large_network_fits_its_bounds(trainable: Trainable) -> None:
    """Large is larger than default, and takes no more than 15 MiB in half precision."""
    size = {
        name: sum(value.numel() for value in trainable.network(blind=False, size=name, colour=False).parameters())
        for name in ("default", "large")
    }
    assert size["default"] < size["large"]
    assert size["large"] * 2 < 15 * 2**20


class Still(torch.nn.Module):
    """Stands for a network: gives what it was given, and remembers the mask."""

    def forward(self, noisy: torch.Tensor, std: Any = None, mask: torch.Tensor | None = None) -> torch.Tensor:
        """The noisy image itself."""
        self.mask = mask
        return noisy


def value_of(recipe: Recipe, clean: torch.Tensor, noisy: torch.Tensor, progress: float = 0.0) -> tuple[float, Any]:
    """The loss of a batch at step 1, and the mask that was drawn."""
    still, rng = Still(), TorchRng(torch.Generator().manual_seed(3))
    value = losses.loss(still, clean, noisy, STD, rng, Moment(1, progress), recipe)
    return float(value), still.mask


def test_kept_and_hidden_pixels_are_weighed(trainable: Trainable) -> None:
    """0.7 of the mean over kept pixels and 0.3 of the mean over hidden ones, whatever the ratio."""
    recipe = recipes.override(recipes.named(trainable.recipes, "best"), {"loss": {"kind": "l1"}})
    assert recipe.mask
    assert (recipe.mask.kept, recipe.mask.hidden) == (0.7, 0.3)
    clean = image(2, 3, 16, 16)
    _, mask = value_of(recipe, clean, clean)
    assert 0.1 < float(mask.mean()) < 0.3
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    wrong_where_hidden, _ = value_of(recipe, clean, clean + mask)
    assert wrong_where_hidden == pytest.approx(0.3, rel=1e-5)
    wrong_where_kept, _ = value_of(recipe, clean, clean + (1 - mask) / 2)
    assert wrong_where_kept == pytest.approx(0.35, rel=1e-5)
    unmasked, mask = value_of(recipe, clean, clean + 0.5, progress=0.95)
    assert mask is None
    assert unmasked == pytest.approx(0.5, rel=1e-5)


def test_the_multi_scale_loss_fades_out(trainable: Trainable) -> None:
    """The article's two coarser scales weigh 1/2 and 1/4 at first and nothing in the end."""
    recipe = recipes.named(trainable.recipes, "article")
    assert recipe.loss.stages == 2
    clean = image(1, 1, 16, 16)
    for progress, expected in ((0.0, 1.75), (0.5, 1.375), (1.0, 1.0)):
        plain = recipes.override(recipe, {"mask": {"start": 0.0, "end": 0.0}})
        assert value_of(plain, clean, clean + 1, progress)[0] == pytest.approx(expected, rel=1e-5)


def test_masks_in_squares() -> None:
    """With a patch of 4, squares of 4×4 pixels are hidden together, at the border too; ratio 0 draws nothing."""
    rng = TorchRng(torch.Generator().manual_seed(1))
    mask = losses.draw(Mask(patch=4), 0.3, torch.zeros(4, 1, 38, 30), rng)
    assert mask is not None
    assert mask.shape == (4, 1, 38, 30)
    assert 0.2 < float(mask.mean()) < 0.4
    blocks = F.avg_pool2d(mask, 4)
    assert ((blocks == 0) | (blocks == 1)).all()
    assert losses.draw(Mask(), 0.0, torch.zeros(1, 1, 8, 8), rng) is None


@pytest.mark.parametrize("penalty", ["l1", "l2", "charbonnier"])
def test_penalties(penalty: str) -> None:
    """Absolute, squared, and nearly absolute."""
    error = losses.penalty(torch.tensor([0.5, 0.0]), torch.tensor([0.0, 0.0]), penalty)
    assert error.tolist() == pytest.approx([0.25 if penalty == "l2" else 0.5, 0.0], abs=2e-3)


def test_the_root_mean_square_weighs_crops_alike() -> None:
    """Its mean is the mean of the crops' root mean squares, and a crop ten times as wrong pulls no more."""
    estimate = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.1
    estimate[1] = estimate[0] * 10
    estimate.requires_grad_()
    error = losses.penalty(estimate, torch.zeros_like(estimate), "rmse")
    roots = estimate.detach().square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(error.mean((1, 2, 3)), roots, rtol=1e-4, atol=0)
    error.mean().backward()
    assert estimate.grad is not None
    torch.testing.assert_close(estimate.grad[0], estimate.grad[1], rtol=1e-4, atol=0)
    exact = losses.penalty(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), "rmse")
    assert exact.tolist() == torch.zeros(1, 1, 4, 4).tolist()


@pytest.mark.parametrize("name", ["best", "mixed", "article"])
def test_at_least_four_fifths_of_the_steps_are_masked(trainable: Trainable, name: str) -> None:
    """Gone through step by step, every masked recipe hides a fifth or more of the pixels in 80 % of its steps."""
    mask = recipes.named(trainable.recipes, name).mask
    assert mask
    for steps in (900, 10_000):
        ratios = [mask.ratio(Moment(step, step / steps)) for step in range(steps)]
        assert sum(ratio >= 0.2 for ratio in ratios) / steps >= 0.8
        assert max(ratios) <= 0.3

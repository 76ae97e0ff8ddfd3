"""The training noise: the family, the level and the share that a recipe asks for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mdnbench.errors import BadFile, BadOption, UnknownName
from mdnbench.registry import Registry
from mdnbench.training.recipe import NoiseRange
from mdnbench.training.training_noise import TrainingNoise

ONE_OF_EACH: dict[str, dict[str, tuple[float, float]]] = {
    "gaussian": {"sigma": (5, 50)}, "poisson": {"peak": (10, 60)}, "salt-pepper": {"density": (0.01, 0.2)},
    "mixed": {"sigma": (5, 50), "peak": (20, 120), "density": (0, 0.1)}, "speckle": {"sigma": (5, 50)},
    "correlated": {"sigma": (5, 50), "width": (3, 3)},
}  # fmt: skip


def draw(mixture: TrainingNoise, clean: torch.Tensor, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Noise from a generator of its own."""
    return mixture.draw(clean, torch.Generator().manual_seed(seed))


def ranges(**families: dict[str, Any]) -> list[NoiseRange]:
    """[[noise]] tables, evenly weighted."""
    return [
        NoiseRange(name, {key: (float(a), float(b)) for key, (a, b) in of.items()}) for name, of in families.items()
    ]


def test_every_crop_has_a_level_of_its_own_and_the_network_is_told_it(known: Registry) -> None:
    """Levels fill their range, and the standard deviation that is told is the one of the noise."""
    clean = torch.full((200, 1, 48, 48), 0.5)
    noisy, std = draw(TrainingNoise(ranges(gaussian={"sigma": (0, 75)}), known.noises, blind=False), clean)
    assert std is not None
    assert std.shape == (200, 1, 1, 1)
    torch.testing.assert_close((noisy - clean).std((1, 2, 3)), std.flatten(), rtol=0.1, atol=1e-3)
    level = std.flatten() * 255
    assert level.min() < 5
    assert level.max() > 70
    assert abs(float(level.mean()) - 37.5) < 5


def test_a_single_level(known: Registry) -> None:
    """A range of no width is that level for every crop."""
    _, std = draw(
        TrainingNoise(ranges(gaussian={"sigma": (25, 25)}), known.noises, blind=False), torch.rand(3, 1, 8, 8)
    )
    assert std is not None
    assert std.flatten().tolist() == pytest.approx([25 / 255] * 3)


def test_a_blind_network_is_told_nothing(known: Registry) -> None:
    """Blind, no level comes with the noise."""
    assert (
        draw(TrainingNoise(ranges(gaussian={"sigma": (25, 25)}), known.noises, blind=True), torch.rand(3, 1, 8, 8))[1]
        is None
    )


def test_families_are_drawn_by_weight(known: Registry) -> None:
    """Three parts of impulses to one of Gaussian noise, crop by crop, each with its own level or none."""
    tables = [NoiseRange("salt-pepper", {"density": (0.5, 0.5)}, 3.0), NoiseRange("gaussian", {"sigma": (10.0, 10.0)})]
    clean = torch.full((400, 1, 8, 8), 0.5)
    noisy, std = draw(TrainingNoise(tables, known.noises, blind=True), clean)
    impulses = ((noisy == 0) | (noisy == 1)).any(3).any(2).flatten()
    assert std is None
    assert 0.68 < float(impulses.float().mean()) < 0.82
    told = [NoiseRange("gaussian", {"sigma": (10.0, 10.0)}), NoiseRange("gaussian", {"sigma": (50.0, 50.0)})]
    noisy, std = draw(TrainingNoise(told, known.noises, blind=False), clean)
    assert std is not None
    assert {round(float(each) * 255) for each in std.flatten()} == {10, 50}
    torch.testing.assert_close((noisy - clean).std((1, 2, 3)), std.flatten(), rtol=0.5, atol=0)


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_every_noise_can_be_trained_on(known: Registry, family: str) -> None:
    """Each family takes levels crop by crop, in gray and colour, and equal seeds give equal noise."""
    mixture = TrainingNoise(ranges(**{family: ONE_OF_EACH[family]}), known.noises, blind=True)
    for channels in (1, 3):
        clean = torch.rand(4, channels, 12, 10, generator=torch.Generator().manual_seed(5))
        noisy, again = draw(mixture, clean)[0], draw(mixture, clean)[0]
        assert noisy.shape == clean.shape
        assert noisy.dtype == torch.float32
        assert torch.isfinite(noisy).all()
        assert (noisy != clean).any()
        assert torch.equal(noisy, again)


def test_what_does_not_exist_or_lacks_is_refused(known: Registry) -> None:
    """An unknown family or parameter, a missing range, and a level that nobody knows are refused by name."""
    for wrong, words in (
        (ranges(gausian={"sigma": (1, 2)}), "Did you mean 'gaussian'"),
        (ranges(gaussian={"sigmas": (1, 2)}), "Did you mean 'sigma'"),
    ):
        with pytest.raises(UnknownName, match=words):
            TrainingNoise(wrong, known.noises, blind=True)
    with pytest.raises(BadFile, match="lacks a range for density"):
        TrainingNoise(ranges(mixed={"sigma": (1, 2), "peak": (5, 6)}), known.noises, blind=True)
    with pytest.raises(BadFile, match="blind = true"):
        TrainingNoise(ranges(poisson={"peak": (5, 6)}), known.noises, blind=False)


def test_ranges_lie_within_what_their_parameters_take(known: Registry) -> None:
    """Both ends are held against the bounds; a whole number is not drawn from a range, but may be one value."""
    for family, wrong in (
        ("gaussian", {"sigma": (-50, 25)}), ("gaussian", {"sigma": (25, 256)}), ("poisson", {"peak": (0, 0)}),
        ("correlated", {"sigma": (5, 25), "width": (1.5, 1.5)}), ("gaussian", {"sigma": (0, float("inf"))}),
    ):  # fmt: skip
        with pytest.raises(BadOption, match=f"the recipe's noise '{family}': .* is not allowed; .* takes a"):
            TrainingNoise(ranges(**{family: wrong}), known.noises, blind=True)
    with pytest.raises(BadFile, match=r"width from 1 to 5, .* give one value, width = \[1, 1\]"):
        TrainingNoise(ranges(correlated={"sigma": (25, 25), "width": (1, 5)}), known.noises, blind=True)

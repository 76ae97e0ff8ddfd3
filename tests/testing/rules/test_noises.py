"""The rules of noises: wrong strengths are found at every level, and honest noise is not taken for wrong by chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mdnbench import NoiseSpec, Option, registry
from mdnbench.engine import process_state
from mdnbench.testing.rules import noises, samples
from mdnbench.testing.rules.rule import RuleBroken


def gaussian(clean: Any, rng: Any, sigma: float) -> Any:
    """White noise, of the strength that it is asked for."""
    return clean + rng.normal(tuple(clean.shape)) * (sigma / 255)


def noise(
    default: float | None, std: Callable[..., float], apply: Callable[..., Any] = gaussian
) -> noises.NoiseSubject:
    """A noise with one parameter of this default."""
    sigma = Option("sigma", float, default, minimum=0, maximum=255)
    return noises.NoiseSubject(NoiseSpec("own", "1", "own", apply, std, (sigma,), "y = x + n"), process_state.now())


@pytest.mark.parametrize("default", [25.0, 25.5, 76.5])
def test_a_default_hides_no_strength_that_is_a_constant(default: float) -> None:
    """A `std` that is right for the default alone is found out, wherever in the range the default lies."""
    noises.has_its_strength(noise(default, lambda sigma: sigma / 255))
    with pytest.raises(RuleBroken, match="as declared"):
        noises.has_its_strength(noise(default, lambda sigma: default / 255))


def test_every_level_is_as_the_contract_asks() -> None:
    """Noise that is float32 for its default alone breaks the contract at another level."""

    def apply(clean: Any, rng: Any, sigma: float) -> Any:
        return gaussian(clean, rng, sigma) if sigma < 50 else gaussian(clean, rng, sigma).astype("float64")

    with pytest.raises(RuleBroken, match="float64"):
        noises.applies(noise(25.0, lambda sigma: sigma / 255, apply))


def test_a_share_leaves_defaults_where_there_is_no_range() -> None:
    """Defaults are the usual values; a share goes through ranges with both ends, and choices and open ends stay."""
    options = (
        Option("whole", int, 3, minimum=1, maximum=31),
        Option("open", float, 2.0, minimum=0),
        Option("chosen", int, 8, choices=(4, 8), minimum=0, maximum=9),
        Option("bare", float, minimum=0, maximum=10),
    )
    assert samples.values(options) == {"whole": 3, "open": 2.0, "chosen": 8, "bare": 1.0}
    assert samples.values(options, 0.3) == {"whole": 10, "open": 2.0, "chosen": 8, "bare": 3.0}


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_honest_noise_is_not_taken_for_wrong(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the keys, noise correlated over 10 pixels stays within half of the tolerance, in both rules."""
    key = samples.key
    monkeypatch.setattr(samples, "key", lambda seed: key(1000 * first + seed))
    monkeypatch.setattr(noises, "STD_TOLERANCE", noises.STD_TOLERANCE / 2)
    sigma, width = Option("sigma", float, 25.0), Option("width", int, 10)
    shipped = registry.load().noises["correlated"]
    spec = NoiseSpec("own", "1", "own", shipped.apply, shipped.std, (sigma, width), "y = x + n")
    honest = noises.NoiseSubject(spec, process_state.now())
    noises.has_its_strength(honest)
    noises.serves_training(honest)


def test_a_strength_that_is_a_little_wrong_is_found() -> None:
    """Six hundredths too much is a breach: the tolerance is five."""
    with pytest.raises(RuleBroken, match="as declared"):
        noises.has_its_strength(noise(None, lambda sigma: sigma / 255 * 1.06))
    noises.has_its_strength(noise(None, lambda sigma: sigma / 255 * 1.04))

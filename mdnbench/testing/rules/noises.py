"""The rules of noises: shape and type of the input, random numbers from `rng` only, and the declared strength."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mdnbench.engine.process_state import ProcessState, restore
from mdnbench.evaluation.rng import NumpyRng
from mdnbench.testing.rules import samples
from mdnbench.testing.rules.rule import Rule, RuleBroken
from mdnbench.training.rng import TorchRng
from mdnbench.util.digests import of_pixels

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image, NoiseSpec

LEVELS = (0.1, 0.5, 0.9)  # gray levels: noise whose strength follows from its parameters is equally strong in each
SHARES = (None, 0.1, 0.3)  # the usual values, then values at these fractions of each parameter's range
SIDE = 256
STD_TOLERANCE = 0.05  # relative to the declared standard deviation
# How many keys' noise is measured together. The measured standard deviation then varies by chance: for white noise by
# 0.07 %; for noise filtered by a box of 10 pixels by 0.5 %, a tenth of the tolerance, which chance exceeds less than
# once in 10^20 measurements; for a box of 20 pixels by 0.9 %, which fails a correct noise once in three million times.
KEYS = 16


@dataclass(frozen=True, slots=True)
class NoiseSubject:
    """A noise's spec, and the state of the process before any plugin ran in it."""

    spec: NoiseSpec
    before: ProcessState

    def apply(self, clean: Image, seed: int = 0, parameters: dict[str, float] | None = None) -> Any:
        """Return the noisy version of a copy of an image (…, C, H, W), made in a restored process state."""
        restore(self.before, seed=1)
        return self.spec.apply(clean.copy(), NumpyRng(samples.key(seed)), **(parameters or self.parameters()))

    def parameters(self, share: float | None = None) -> dict[str, float]:
        """Return a value for each parameter: the usual one, or the one at the fraction `share` of its range."""
        return {name: float(value) for name, value in samples.values(self.spec.parameters, share).items()}

    def levels(self) -> list[dict[str, float]]:
        """Return the usual parameters, and other ones if the parameters have ranges."""
        every = [self.parameters(share) for share in SHARES]
        return [each for place, each in enumerate(every) if each not in every[:place]]

    def fingerprint(self) -> str:
        """Return the digest of the noisy version of the usual image."""
        return of_pixels(self.apply(planes(1)))


def planes(channels: int, size: tuple[int, int] = samples.ODD[0]) -> Image:
    """Return a clean image in the form that noises receive, float32 (C, H, W)."""
    image = samples.clean(channels, size)
    return np.ascontiguousarray(image[None] if channels == 1 else image.transpose(2, 0, 1))


def applies(noise: NoiseSubject) -> None:
    """It returns finite float32 values in the clean image's shape, for gray and colour images of odd sizes."""
    fix = "use float32 alone: Python's numbers keep it, NumPy's own float64 numbers and arrays do not."
    for channels, parameters in itertools.product((1, 3), noise.levels()):
        clean = planes(channels)
        given = noise.apply(clean, parameters=parameters)
        got = f"{getattr(given, 'dtype', type(given).__name__)} {tuple(getattr(given, 'shape', ()))}"
        if got != f"float32 {clean.shape}":
            raise RuleBroken(f"float32 {clean.shape} with {parameters}", got, fix)
        if not np.isfinite(given).all():
            raise RuleBroken("finite pixels", f"NaN or infinite ones with {parameters}", "guard divisions.")


def leaves_clean(noise: NoiseSubject) -> None:
    """It does not change the clean image."""
    clean = planes(3)
    restore(noise.before)
    given = noise.spec.apply(clean, NumpyRng(samples.key(0)), **noise.parameters())
    if not np.array_equal(clean, planes(3)) or np.shares_memory(given, clean):
        raise RuleBroken(
            "a new image, and the clean one unchanged",
            "the clean image's own memory",
            "write `clean + …`, not `clean += …`; return a copy if nothing is changed.",
        )


def draws_from_rng(noise: NoiseSubject) -> None:
    """All randomness comes from `rng`: the same key gives the same noise."""
    first = noise.apply(planes(1), seed=7)
    restore(noise.before, seed=2)
    again = noise.spec.apply(planes(1), NumpyRng(samples.key(7)), **noise.parameters())
    if not np.array_equal(first, again):
        raise RuleBroken(
            "the same noise from the same key",
            f"noise that differs by up to {float(abs(first - again).max()):.2g}",
            "draw from `rng` alone: rng.normal(shape), rng.uniform(shape), rng.poisson(rate).",
        )


def has_its_strength(noise: NoiseSubject) -> None:
    """The standard deviation is the declared one, within 5 %, in dark, middle and bright places."""
    for parameters, level in itertools.product(noise.levels(), LEVELS):
        declared = noise.spec.std(**parameters)
        if declared is None:
            return
        clean = np.full((1, SIDE, SIDE), level, dtype=np.float32)
        found = math.sqrt(sum(_variance(noise.apply(clean, key, parameters), clean) for key in range(KEYS)) / KEYS)
        if abs(found - declared) > STD_TOLERANCE * declared:
            raise RuleBroken(
                f"a standard deviation of {declared:.4f} with {parameters}, as declared",
                f"{found:.4f} on gray of {level:g}",
                "correct `std` (on the [0, 1] scale: sigma/255), or return None if it depends on the image; do "
                "not clip.",
            )


def _variance(noisy: Any, clean: Image) -> float:
    return float(np.var(noisy.astype(np.float64) - clean))


def serves_training(noise: NoiseSubject) -> None:
    """The same function works on torch tensors, as in training, with the same strength."""
    gray = np.full((KEYS, 1, SIDE, SIDE), 0.5, dtype=np.float32)
    clean = torch.from_numpy(gray)
    fix = "use arithmetic that arrays and tensors share: + - * / ** and comparisons, `tuple(clean.shape)`, `rng`."
    generator = torch.Generator().manual_seed(0)
    try:
        given = noise.spec.apply(clean.clone(), TorchRng(generator), **noise.parameters())
        got = f"{type(given).__name__} {getattr(given, 'dtype', '')} {tuple(getattr(given, 'shape', ()))}"
    except Exception as error:
        raise RuleBroken("a tensor for a tensor", f"{type(error).__name__}: {error}", fix) from error
    if got != f"Tensor torch.float32 {tuple(clean.shape)}":
        raise RuleBroken(f"Tensor torch.float32 {tuple(clean.shape)}", got, fix)
    strength = float((given - clean).std())
    expected = math.sqrt(_variance(noise.apply(gray), gray))
    if abs(strength - expected) > 2 * STD_TOLERANCE * expected + 1e-6:
        raise RuleBroken(f"the strength that it has on arrays, {expected:.4f}", f"{strength:.4f} on tensors", fix)


def has_formula(noise: NoiseSubject) -> None:
    """A formula is given."""
    if not noise.spec.formula.strip():
        raise RuleBroken("a formula", "none", "write it down: formula='y = x + n, n ~ Normal(0, (sigma/255)^2)'.")


RULES = (
    Rule("metadata-formula", has_formula),
    Rule("noise-contract", applies, gate=True),
    Rule("noise-input", leaves_clean),
    Rule("noise-draws", draws_from_rng, gate=True),
    Rule("noise-std", has_its_strength),
    Rule("noise-training", serves_training),
)

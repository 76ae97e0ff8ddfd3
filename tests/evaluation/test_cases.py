"""Cases: the same noisy bits whoever makes them, one noise field for each image, and what a method is told."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdnbench import api, registry
from mdnbench.errors import BadPlugin
from mdnbench.evaluation import cases, protocols, rng
from mdnbench.spec.records import Case, NoiseInfo, NoiseInfoSource
from mdnbench.spec.specs import Image
from mdnbench.util.digests import of_pixels

KNOWN = registry.load()
SK12 = KNOWN.datasets["sk12"]
NOISES = ("gaussian:50", "poisson:30", "salt-pepper:0.1", "mixed", "speckle:25", "correlated:sigma=25,width=3")

few = settings(derandomize=True, max_examples=10, deadline=None)


def make(
    clean: Image, text: str, seed: int = 0, *, protocol: str = "standard", source: NoiseInfoSource = "known"
) -> Case:
    """The case of an image and a noise."""
    noise = KNOWN.noise(text)
    spec = KNOWN.noises[noise.name]
    key = cases.key(of_pixels(clean), noise, spec.revision, seed)
    return cases.make(clean, key, noise, spec, protocols.load(protocol).input, source)


def colour() -> Image:
    """A colour image (256, 256, 3) of three photographs."""
    return np.stack([SK12.load(image) for image in ("01", "02", "04")], axis=-1)


@pytest.mark.parametrize("text", NOISES)
def test_a_case_is_the_same_whenever_it_is_made(text: str) -> None:
    """Made again after other cases and with the global generators elsewhere, every bit is the same."""
    clean = SK12.load("01")
    before = clean.copy()
    first = make(clean, text)
    np.random.seed(7)
    make(SK12.load("02"), text, seed=3)
    again = make(SK12.load("01"), text)
    assert first.noisy.dtype == np.float32
    assert first.noisy.shape == clean.shape
    assert np.array_equal(first.noisy, again.noisy)
    assert first.noisy_digest == again.noisy_digest == of_pixels(first.noisy)
    assert np.array_equal(clean, before)


@few
@given(levels=st.lists(st.integers(0, 255), min_size=2, max_size=2, unique=True), seed=st.integers(0, 9))
def test_no_two_images_share_a_noise_field(levels: list[int], seed: int) -> None:
    """Two flat images of one size differ in every part of their noise, not by a shift of one field."""
    flat = [np.full((24, 24), level / 255, dtype=np.float32) for level in levels]
    first, second = (make(image, "gaussian:50", seed).noisy - image for image in flat)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.25


def test_a_single_pixel_changes_the_field() -> None:
    """The pixels seed the noise: an image that differs in one level of one pixel gets a noise of its own."""
    clean = SK12.load("01").copy()
    before = make(clean, "gaussian:50").noisy - clean
    clean[0, 0] += 1 / 255
    assert abs(np.corrcoef(before.ravel(), (make(clean, "gaussian:50").noisy - clean).ravel())[0, 1]) < 0.05


def test_seeds_noises_levels_and_revisions_have_fields_of_their_own() -> None:
    """Each part of a case's key changes it; the method has no part in it."""
    noise, other = KNOWN.noise("gaussian:50"), KNOWN.noise("gaussian:25")
    keys = {
        cases.key("a", noise, "1", 0),
        cases.key("b", noise, "1", 0),
        cases.key("a", other, "1", 0),
        cases.key("a", KNOWN.noise("speckle:50"), "1", 0),
        cases.key("a", noise, "2", 0),
        cases.key("a", noise, "1", 1),
    }
    assert len(keys) == 6
    assert cases.key("a", KNOWN.noise("gaussian:sigma=50.0"), "1", 0) == cases.key("a", noise, "1", 0)


def test_colour_channels_have_noise_of_their_own() -> None:
    """The three channels of a colour image are not given one field thrice."""
    clean = colour()
    field = make(clean, "gaussian:50").noisy - clean
    assert field.shape == clean.shape
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(field[..., first].ravel(), field[..., second].ravel())[0, 1]) < 0.02


def test_every_method_sees_the_same_noisy_pixels(finished: Any) -> None:
    """In a real run, the noisy image of an image, noise and seed has one digest over all methods."""
    seen: dict[tuple[str, str, int], set[str]] = {}
    for row in finished.rows():
        seen.setdefault((row.image, row.noise, row.seed), set()).add(row.noisy_digest)
    assert len(seen) == 4
    assert all(len(digests) == 1 for digests in seen.values())
    assert len(set.union(*seen.values())) == 4
    clean = SK12.load("01")
    assert seen["01", "gaussian:sigma=50", 0] == {make(clean, "gaussian:50").noisy_digest}


def test_the_input_rule_is_part_of_the_noisy_image() -> None:
    """`clipped` hands over what an 8-bit file holds: the same field, clamped and rounded."""
    clean = SK12.load("01")
    plain, clipped = make(clean, "gaussian:50").noisy, make(clean, "gaussian:50", protocol="clipped").noisy
    assert plain.min() < 0
    assert plain.max() > 1
    assert np.array_equal(clipped, (np.rint(np.clip(plain, 0, 1) * 255) / np.float32(255)).astype(np.float32))


def test_known_noise_is_told_in_full() -> None:
    """`known` gives family, parameters and the level on the [0, 1] scale; None where it depends on the image."""
    assert make(SK12.load("01"), "gaussian:51").info == NoiseInfo("gaussian", {"sigma": 51.0}, 0.2, "known")
    assert make(SK12.load("01"), "poisson:30").info == NoiseInfo("poisson", {"peak": 30.0}, None, "known")


def test_withheld_noise_tells_nothing() -> None:
    """`withheld` is empty in every field."""
    info = make(SK12.load("01"), "gaussian:50", source="withheld").info
    assert info == NoiseInfo("", {}, None, "withheld")


@pytest.mark.parametrize("sigma", [15, 50])
def test_estimated_noise_comes_from_the_noisy_image_alone(sigma: int) -> None:
    """`estimated` gives a level near the true one, and neither family nor parameters."""
    info = make(SK12.load("01"), f"gaussian:{sigma}", source="estimated").info
    assert (info.family, info.params, info.source) == ("", {}, "estimated")
    assert info.std == pytest.approx(sigma / 255, rel=0.1)
    assert make(colour(), f"gaussian:{sigma}", source="estimated").info.std == pytest.approx(sigma / 255, rel=0.1)


@pytest.mark.parametrize(
    ("apply", "says"),
    [
        (lambda clean, rng, sigma: clean[..., :-1], "must give float32"),
        (lambda clean, rng, sigma: clean.astype(np.float64), "float64"),
        (lambda clean, rng, sigma: clean * np.float32("nan"), "NaN"),
    ],
)
def test_a_noise_that_breaks_its_contract_is_named(apply: Any, says: str) -> None:
    """A noise plugin that gives another shape or type, or NaN, is told so, and no method is blamed for it."""
    spec = dataclasses.replace(KNOWN.noises["gaussian"], apply=apply)
    clean = np.full((16, 16), 0.5, dtype=np.float32)
    with pytest.raises(BadPlugin, match=says):
        cases.make(clean, "00" * 32, KNOWN.noise("gaussian:50"), spec, protocols.load("standard").input, "known")


def test_a_noise_that_writes_into_the_clean_image_does_no_harm() -> None:
    """A noise plugin works on its own copy: the clean image that scores are held against stays as it is."""

    def careless(clean: Image, rng: Any, sigma: float) -> Image:
        clean += 0.25
        return clean

    spec = dataclasses.replace(KNOWN.noises["gaussian"], apply=careless)
    clean = np.full((16, 16), 0.5, dtype=np.float32)
    rule = protocols.load("standard").input
    case = cases.make(clean, "00" * 32, KNOWN.noise("gaussian:50"), spec, rule, "known")
    assert (case.clean == 0.5).all()
    assert (case.noisy == 0.75).all()


@pytest.mark.parametrize("source", ["known", "estimated", "withheld"])
def test_noise_information_is_part_of_a_cells_identity(source: NoiseInfoSource) -> None:
    """A method that wants the noise has another output key when it is told something else; `noisy` has not."""
    keys = {}
    for info in ("known", source):
        plan = api.plan(
            methods=["noisy", "nlm"], sigma=50, dataset="sk12", images=["01"], metrics=["psnr"], noise_info=info
        )
        keys[info] = {work.named.text: next(plan.cells(work))[1] for work in plan.works}
    assert keys["known"]["noisy"].output == keys[source]["noisy"].output
    assert (keys["known"]["nlm"].output == keys[source]["nlm"].output) == (source == "known")
    assert keys["known"]["nlm"].case == keys[source]["nlm"].case


def test_other_numbers_of_numpys_make_other_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is added to a key where NumPy draws what it always drew; what another stream made is told apart."""
    noise = KNOWN.noise("gaussian:50")
    assert rng.stream() == ()
    usual = cases.key("0" * 64, noise, "1", 0)
    former = rng.NumpyRng.normal
    monkeypatch.setattr(rng.NumpyRng, "normal", lambda self, shape: (former(self, (1,)), former(self, shape))[1])
    rng.stream.cache_clear()
    try:
        assert len(rng.stream()) == 1
        assert cases.key("0" * 64, noise, "1", 0) != usual
    finally:
        rng.stream.cache_clear()

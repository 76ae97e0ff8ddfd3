"""A method from a NumPy function: what it is called with, and what becomes of its spec."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_tv_chambolle

from mdnbench import NoiseInfo, Option, api, wrap_numpy
from mdnbench.evaluation.estimation import estimate_std
from mdnbench.evaluation.outputs import InvalidOutput


def blur(image: Any, std: float, strength: float = 8) -> Any:
    """A function as an author has it."""
    return gaussian_filter(image, strength * std)


STRENGTH = Option("strength", float, 8.0, "blur in pixels per unit of noise", minimum=0, maximum=50)


def test_a_function_gets_the_image_the_level_and_the_options(
    noisy: Any, told: NoiseInfo, built: Callable[..., Any]
) -> None:
    """What comes out is what the function gives by itself, for default and other options."""
    spec = wrap_numpy("blur", blur, options=(STRENGTH,))
    image = noisy[0, 0].numpy()
    for options in ({}, {"strength": 20.0}):
        result = built(spec, **options)(noisy, told)
        assert np.array_equal(result[0, 0].numpy(), blur(image, told.std, **options))


def test_a_level_that_is_not_told_is_estimated(noisy: Any, built: Callable[..., Any]) -> None:
    """A function that wants a level always gets a number."""
    image = noisy[0, 0].numpy()
    result = built(wrap_numpy("blur", blur))(noisy, NoiseInfo())
    assert np.array_equal(result[0, 0].numpy(), blur(image, estimate_std(image)))


def test_wants_says_what_a_function_is_told(noisy: Any, told: NoiseInfo, built: Callable[..., Any]) -> None:
    """Nothing, the level, or all that is known: the spec declares the same."""
    seen: list[tuple[Any, ...]] = []

    def function(image: Any, *known: Any) -> Any:
        seen.append(known)
        return image

    for wants in ("nothing", "std", "noise"):
        spec = wrap_numpy("same", function, wants=wants)  # type: ignore[arg-type]
        assert spec.wants == wants
        built(spec)(noisy, told)
    assert seen == [(), (told.std,), (told,)]


def test_a_gray_function_takes_colour_channel_by_channel(
    colour: Any, told: NoiseInfo, built: Callable[..., Any]
) -> None:
    """With `by_channel`, each channel is what the function makes of it alone, at the level of the whole image."""
    spec = wrap_numpy("tv", lambda image, std: denoise_tv_chambolle(image, std), by_channel=True)
    assert spec.channels == (1, 3)
    result = built(spec)(colour, told)
    expected = [denoise_tv_chambolle(plane, told.std) for plane in colour[0].numpy()]
    assert np.array_equal(result[0].numpy(), np.stack(expected))


@pytest.mark.parametrize("wrong", [lambda image: image[1:], lambda image: (image * 255).astype(np.uint8), list])
def test_what_is_no_image_is_invalid(
    noisy: Any, told: NoiseInfo, built: Callable[..., Any], wrong: Callable[[Any], Any]
) -> None:
    """Another shape, whole numbers and lists are refused as they are for every NumPy denoiser."""
    with pytest.raises(InvalidOutput, match="expected"):
        built(wrap_numpy("wrong", wrong, wants="nothing"))(noisy, told)


def test_a_spec_says_what_its_author_says() -> None:
    """Fields of the spec are passed on; settings that change the output change the revision."""
    spec = wrap_numpy(
        "blur", blur, revision="7", summary="a blur", options=(STRENGTH,), packages=("scipy", "numpy"), licence="MIT",
        citation="Someone 2020", published_as="Blur",
    )  # fmt: skip
    assert (spec.summary, spec.licence, spec.citation, spec.published_as) == ("a blur", "MIT", "Someone 2020", "Blur")
    assert (spec.packages, spec.options) == (("numpy", "scipy"), (STRENGTH,))
    assert spec.revision.startswith("7+")
    revisions = {
        wrap_numpy("blur", blur, wants=wants, by_channel=each).revision  # type: ignore[arg-type]
        for wants in ("std", "noise")
        for each in (False, True)
    }
    assert len(revisions) == 4


FILE = """
from mdnbench import Option, hookimpl, wrap_numpy

def shrink(image, std, strength):
    from scipy.ndimage import gaussian_filter
    return gaussian_filter(image, strength * std)

@hookimpl
def mdnbench_denoisers():
    return [wrap_numpy("mine", shrink, options=(Option("strength", float, 8.0, minimum=0, maximum=50),))]
"""


def test_a_plugin_file_of_a_few_lines_runs(plugin: Callable[..., Path]) -> None:
    """The function is in the table, under both values of its option, and beats the noise."""
    found = api.run(
        methods=["noisy", "mine", "mine[strength=4]"], sigma=50, dataset="sk12", images="01", metrics="psnr",
        timing=False, jobs=1, plugins=[str(plugin(FILE))],
    )  # fmt: skip
    means = {row.method: row.means["psnr"] for row in found.means}
    assert found.exit_code == 0
    assert means["mine"] > means["noisy"] + 5
    assert means["mine[strength=4]"] != means["mine"]


def test_the_image_is_the_functions_own(noisy: Any, told: NoiseInfo, built: Callable[..., Any]) -> None:
    """A function that works in place spoils nobody's input."""

    def inplace(image: Any) -> Any:
        image *= 0.5
        return image

    before = noisy.clone()
    result = built(wrap_numpy("inplace", inplace, wants="nothing"))(noisy, told)
    assert torch.equal(noisy, before)
    assert torch.allclose(result, before / 2)

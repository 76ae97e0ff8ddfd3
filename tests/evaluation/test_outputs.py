"""What a denoiser may give back: everything else is refused with what was expected and what came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mdnbench import numpy_denoiser
from mdnbench.evaluation.adapters import to_numpy, to_tensor
from mdnbench.evaluation.outputs import InvalidOutput, check_form, check_values
from mdnbench.registry import load
from mdnbench.spec.records import NoiseInfo
from mdnbench.spec.specs import Image

PHOTO = load().datasets["sk12"].load("01")  # (256, 256)
GRAY = to_tensor(PHOTO)  # (1, 1, 256, 256)
COLOUR = to_tensor(np.stack([PHOTO, PHOTO[::-1], PHOTO[:, ::-1]], axis=-1))  # (1, 3, 256, 256)
DARK = GRAY / 16  # a picture whose mean is below 0.04


def check(output: Any, noisy: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Check the form, as the method's process does, then the values, as the bench does."""
    formed = check_form(output, noisy, original)
    check_values(to_numpy(formed), to_numpy(original))
    return formed


def with_value(value: float) -> torch.Tensor:
    """The photograph with three pixels of this value."""
    output = GRAY.clone()
    output[0, 0, 5, 5:8] = value
    return output


@pytest.mark.parametrize("noisy", [GRAY, COLOUR])
def test_a_good_output_passes_as_it_is(noisy: torch.Tensor) -> None:
    """Float32 of the input's shape is taken, values somewhat outside [0, 1] included, and nothing is changed."""
    output = noisy * 1.5 - 0.25
    assert torch.equal(check(output, noisy, noisy.clone()), output)
    assert check(noisy, noisy, noisy.clone()) is not None


def test_an_output_with_a_gradient_is_taken_without_it() -> None:
    """A network that forgot `no_grad` is no fault."""
    output = GRAY.clone().requires_grad_()
    assert not check(output, GRAY, GRAY.clone()).requires_grad


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_fault_11_nan_and_infinity(value: float) -> None:
    """One bad pixel is enough, and the message counts them."""
    with pytest.raises(InvalidOutput, match="3 NaN or infinite pixels of 65536"):
        check(with_value(value), GRAY, GRAY.clone())


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (GRAY[..., :-1], r"expected shape \(1, 1, 256, 256\), got \(1, 1, 256, 255\)"),
        (GRAY[0], r"got \(1, 256, 256\)"),
        (GRAY[:, :, :1, :1], r"got \(1, 1, 1, 1\)"),
        (GRAY.expand(1, 3, 256, 256), r"got \(1, 3, 256, 256\)"),
        (GRAY.double(), "expected dtype torch.float32, got torch.float64"),
        (GRAY.half(), "got torch.float16"),
        ((GRAY * 255).to(torch.uint8), "got torch.uint8"),
        (GRAY > 0.5, "got torch.bool"),
        (GRAY.to(torch.complex64), "got torch.complex64"),
        (PHOTO, "expected a torch tensor, got ndarray"),
        (None, "got NoneType"),
        (0.5, "got float"),
        ([GRAY], "got list"),
    ],
)
def test_fault_13_wrong_shapes_and_types(output: Any, says: str) -> None:
    """Nothing is broadcast and nothing is converted; the message names both sides."""
    with pytest.raises(InvalidOutput, match=says):
        check(output, GRAY, GRAY.clone())


@pytest.mark.parametrize("noisy", [GRAY, DARK, COLOUR])
def test_fault_13_another_scale(noisy: torch.Tensor) -> None:
    """An output from 0 to 255 is not scaled down silently; one on the right scale never looks like it."""
    with pytest.raises(InvalidOutput, match=r"expected values on the \[0, 1\] scale, got .* 0-255\?"):
        check(noisy * 255, noisy, noisy.clone())
    assert check(noisy * 3 + 0.5, noisy, noisy.clone()) is not None


@pytest.mark.parametrize(
    "write",
    [lambda noisy: noisy.mul_(0.5), lambda noisy: noisy[0, 0, 0, :1].fill_(0.123), lambda noisy: noisy.squeeze_()],
)
def test_fault_14_a_written_input(write: Callable[[torch.Tensor], Any]) -> None:
    """A denoiser that writes into its input, be it one pixel or its shape, is invalid even if its output is good."""
    noisy = GRAY.clone()
    output = GRAY.clone()
    write(noisy)
    with pytest.raises(InvalidOutput, match="wrote into its input"):
        check(output, noisy, GRAY)


@pytest.mark.parametrize("noisy", [GRAY, COLOUR])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_numpy_function_gives_any_real_type(noisy: torch.Tensor, kind: Any) -> None:
    """What an author already has is enough: double precision is what NumPy gives by itself."""
    denoise = numpy_denoiser(lambda image, noise: image.astype(kind))
    output = check(denoise(noisy, NoiseInfo()), noisy, noisy.clone())
    assert torch.allclose(output, noisy, atol=1e-3)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda image: image.astype(np.complex64), "complex64"),
        (lambda image: image.astype(object), "object"),
        (lambda image: (image * 255).astype(np.uint8), "uint8"),
        (lambda image: image > 0.5, "bool"),
        (lambda image: image[..., None], r"expected shape \(256, 256\), got \(256, 256, 1\)"),
        (lambda image: image[None], r"got \(1, 256, 256\)"),
        (lambda image: image[:-1], r"got \(255, 256\)"),
        (lambda image: image.mean(), "expected a NumPy array, got float32"),
        (lambda image: image.tolist(), "got list"),
        (lambda image: None, "got NoneType"),
    ],
)
def test_fault_13_a_numpy_function_that_breaks_the_contract(function: Callable[[Image], Any], says: str) -> None:
    """The helper for NumPy functions repairs nothing either: no imaginary part is dropped, no axis is guessed."""
    with pytest.raises(InvalidOutput, match=says):
        numpy_denoiser(lambda image, noise: function(image))(GRAY, NoiseInfo())


def test_a_numpy_function_has_its_input_for_itself() -> None:
    """A NumPy function may work in place: what it is given is its own copy."""

    def in_place(image: Image, noise: NoiseInfo) -> Image:
        image *= 0.5
        return image

    noisy = GRAY.clone()
    output = numpy_denoiser(in_place)(noisy, NoiseInfo())
    assert torch.equal(check(output, noisy, GRAY), GRAY * 0.5)


@pytest.mark.parametrize("noisy", [GRAY, COLOUR, GRAY[..., :17, :33]])
def test_arrays_and_tensors_turn_into_each_other(noisy: torch.Tensor) -> None:
    """There and back is the same pixels in other memory, (H, W) for gray and (H, W, 3) for colour."""
    image = to_numpy(noisy)
    assert image.shape == (*noisy.shape[2:], 3)[: 3 if noisy.shape[1] == 3 else 2]
    back = to_tensor(image)
    assert torch.equal(back, noisy)
    back.zero_()
    assert image.any()
    image[:] = -1
    assert noisy.min() >= 0

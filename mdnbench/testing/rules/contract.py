"""The contract of methods: the output has the shape, type and scale of the input, for everything that is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from mdnbench.errors import Unavailable
from mdnbench.evaluation import outputs
from mdnbench.evaluation.adapters import to_numpy, to_tensor
from mdnbench.spec.names import Value
from mdnbench.spec.records import NoiseInfo
from mdnbench.testing.rules import samples
from mdnbench.testing.rules.methods import MethodSubject
from mdnbench.testing.rules.rule import Rule, RuleBroken

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

DOOR = "a float32 tensor (1, C, H, W) of the input's shape"


def builds(method: MethodSubject) -> None:
    """`build` works for the defaults, for every choice and at both ends of every range."""
    variants = samples.variants(method.spec.options)
    options = next(variants)
    try:
        method.build(options)
        for options in variants if method.spec.trainable is None else ():  # another network would need other weights
            _build_or_excuse(method, options)
    except Unavailable:
        raise
    except Exception as error:
        raise RuleBroken(
            f"build to work with {options or 'no options'}",
            f"{type(error).__name__}: {error}",
            "handle every value that the options allow, or allow fewer (`choices`, `minimum`, `maximum`).",
        ) from error


def _build_or_excuse(method: MethodSubject, options: Mapping[str, Value]) -> None:
    try:
        method.build(options)
    except Unavailable:
        return  # a method may declare that some options cannot work here


def runs(method: MethodSubject) -> None:
    """It denoises an image."""
    size = "x".join(map(str, samples.SIZE))
    noisy = method.noisy()
    try:
        output = method.call(method.build(), noisy)
    except Unavailable:
        raise
    except Exception as error:
        raise RuleBroken(
            f"an image back for a noisy one of {size} pixels and {method.channels} channels",
            f"{type(error).__name__}: {error}",
            "call build and denoise by hand on such an image; the message above shows where it failed.",
        ) from error
    if not isinstance(output, torch.Tensor):
        raise RuleBroken(
            DOOR, f"a {type(output).__name__}", "wrap a function over arrays by `numpy_denoiser`, or return a tensor."
        )


def shape(method: MethodSubject) -> None:
    """The output has the input's shape."""
    noisy = method.noisy()
    _same_shape(method, noisy, "return every pixel: pad what a filter eats at the borders.")


def _same_shape(method: MethodSubject, noisy: Image, fix: str) -> None:
    expected = (1, method.channels, *noisy.shape[:2])
    output = method.call(method.build(), noisy)
    if tuple(output.shape) != expected:
        raise RuleBroken(f"shape {expected}", f"shape {tuple(output.shape)}", fix)


def dtype(method: MethodSubject) -> None:
    """The output is float32."""
    output = method.call(method.build(), method.noisy())
    if output.dtype != torch.float32:
        raise RuleBroken(
            "float32", f"{output.dtype}".removeprefix("torch."), "end with `.float()`: `.to(torch.float32)`."
        )


def scale(method: MethodSubject) -> None:
    """The output is finite and on the scale of the input."""
    noisy = to_tensor(method.noisy())
    try:
        output = outputs.check_form(method.call(method.build(), method.noisy()), noisy, noisy)
        outputs.check_values(to_numpy(output), method.noisy())
    except outputs.InvalidOutput as error:
        raise RuleBroken(
            "finite values on the [0, 1] scale, slightly beyond it at most",
            str(error),
            "if you multiply by 255 at the start, divide by 255 at the end; avoid divisions by zero.",
        ) from error


def sizes(method: MethodSubject) -> None:
    """Images of odd height and width keep their size."""
    for size in samples.ODD:
        fix = "pad the image to the size that your method needs (`reflect`), and crop what comes out."
        try:
            _same_shape(method, method.noisy(size=size), fix)
        except RuleBroken as breach:
            raise RuleBroken(f"{breach.expected} for an image of {size[0]}x{size[1]} pixels", breach.got, fix) from None
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
            raise RuleBroken(f"an image of {size[0]}x{size[1]} pixels to be denoised", got, fix) from error


def channels(method: MethodSubject) -> None:
    """Gray and colour work as declared."""
    fix = "declare in `channels` what your method takes: (1,) gray, (3,) colour, (1, 3) both; or treat each channel."
    declared = method.spec.channels
    if not declared or set(declared) - {1, 3}:
        raise RuleBroken("channels (1,), (3,) or (1, 3)", f"channels {declared}", fix)
    for count in declared[1:]:
        noisy = method.noisy(channels=count)
        expected = (1, count, *noisy.shape[:2])
        try:
            got = f"shape {tuple(method.call(method.build(), noisy).shape)}"
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
        if got != f"shape {expected}":
            raise RuleBroken(f"shape {expected} for an image of {count} channels, as declared", got, fix)


def withheld(method: MethodSubject) -> None:
    """It works without information about the noise (`--noise-info withheld`)."""
    try:
        method.call(method.build(), method.noisy(), NoiseInfo())
    except Unavailable:
        return
    except Exception as error:
        raise RuleBroken(
            "an image when the noise is unknown: noise.std is None, noise.params is empty",
            f"{type(error).__name__}: {error}",
            "estimate it: `estimate_std(noisy)` of mdnbench.evaluation.estimation, where noise.std is None.",
        ) from error


RULES = (
    Rule("contract-builds", builds, gate=True),
    Rule("contract-runs", runs, gate=True),
    Rule("contract-shape", shape, gate=True),
    Rule("contract-dtype", dtype, gate=True),
    Rule("contract-range", scale, gate=True),
    Rule("contract-sizes", sizes),
    Rule("contract-channels", channels),
    Rule("contract-withheld", withheld),
)


def licence(subject: Any) -> None:
    """A licence is given."""
    if not subject.spec.licence.strip():
        raise RuleBroken(
            "a licence",
            "none",
            "say under which terms it may be used: licence='MIT', or the licence of the package that it wraps.",
        )


def citation(subject: Any) -> None:
    """A citation is given."""
    if not subject.spec.citation.strip():
        raise RuleBroken(
            "a citation",
            "none",
            "name the paper (authors, title or journal, year) in `citation`, or say that there is none.",
        )


LICENCE, CITATION = Rule("metadata-licence", licence), Rule("metadata-citation", citation)

"""The options that methods have in addition to their own.

Deployment variants are the options of every learned method, with their valid combinations:

    unet[backend=onnxruntime]  unet[backend=openvino]  unet[precision=int8]  unet[keep=0.7,precision=int8]
    unet[precision=bf16,compile=true]

If a method declares an option of the same name, that option replaces the variant's. The option `stabilise` belongs to
methods that expect white Gaussian noise and declare it:

    bm3d[stabilise=false]  dncnn[stabilise=true]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdnbench.errors import BadOption
from mdnbench.spec.names import Named, Option, Value, resolve, split_method

if TYPE_CHECKING:
    from mdnbench.spec.specs import DenoiserSpec, Wants

REVISION = "2"  # version of the export, calibration and quantisation of models
SMALLEST_KEEP = 0.1

STABILISE = "stabilise"
CONVERTED = ("poisson", "salt-pepper", "mixed", "speckle")  # the noises that stabilisation converts
WEIGHTS = Option("weights", str, default="auto", help="name of the weights to use; auto takes those that fit the noise")
OPTIONS = (
    Option("keep", float, 1.0, "share of the channels that pruning keeps; the rest is fine-tuned", "",
           minimum=SMALLEST_KEEP, maximum=1),
    Option("precision", str, "fp32", "int8 is calibrated on training images and computed by ONNX Runtime", "",
           ("fp32", "bf16", "int8")),
    Option("backend", str, "torch", "what computes the network", "", ("torch", "onnxruntime", "openvino")),
    Option("provider", str, "auto", "ONNX Runtime's; auto is its CPU's, or its CUDA provider with --device cuda", "",
           ("auto", "cuda", "tensorrt")),
    Option("compile", bool, False, "torch.compile; it needs a C++ compiler, and takes a while for each size of image"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Variant:
    """How a learned method is deployed; the defaults mean that the plugin's own `build` computes it."""

    keep: float = 1.0
    precision: str = "fp32"
    backend: str = "torch"
    provider: str = "auto"
    compile: bool = False

    @property
    def plain(self) -> bool:
        """Return whether the plugin's own `build` computes the method, with any weights."""
        return self == Variant()

    @property
    def onnx(self) -> bool:
        """Return whether the method is computed from an ONNX file."""
        return self.backend != "torch" or self.precision == "int8"

    @property
    def packages(self) -> tuple[str, ...]:
        """Return the distributions, in addition to the method's own, whose versions change its output."""
        if not self.onnx:
            return ("torch",)
        made_with = ("torch", "onnx", "onnxscript", "onnxruntime")
        return (*made_with, "openvino") if self.backend == "openvino" else made_with


def options_of(spec: DenoiserSpec) -> tuple[Option, ...]:
    """Return a method's options, including those that mdnbench adds to its own."""
    added = () if spec.stabilise is None else (_stabilise(spec.stabilise),)
    if spec.trainable is None:
        return (*spec.options, *added)
    return (*spec.options, *added, WEIGHTS, *_offered(spec))


def _stabilise(default: bool) -> Option:
    return Option(STABILISE, bool, default, "convert other known noise to white Gaussian noise first, and back")


def stabilises(spec: DenoiserSpec, named: Named) -> bool:
    """Return whether noise is converted to white Gaussian noise for a method with these options."""
    return spec.stabilise is not None and bool(named.values().get(STABILISE, spec.stabilise))


def converts(spec: DenoiserSpec, named: Named, noise: Named) -> bool:
    """Return whether this noise, if it is known, is converted for a method with these options."""
    return noise.name in CONVERTED and stabilises(spec, named)


def wants(spec: DenoiserSpec, named: Named) -> Wants:
    """Return the information about the noise that a method needs, together with the conversion of its noise."""
    return "noise" if stabilises(spec, named) else spec.wants


def own(spec: DenoiserSpec, named: Named) -> dict[str, Value]:
    """Return the options that the method's plugin declares, with their values."""
    declared = {option.name for option in spec.options}
    return {name: value for name, value in named.options if name in declared}


def chosen(spec: DenoiserSpec, named: Named) -> list[list[Value]]:
    """Return the options of a method that are not at their defaults, each with its value, for the keys of results.

    Defaults are left out, so the keys stay the same when a method gets a further option with a default.
    """
    defaults = {option.name: option.fallback() for option in spec.options}
    return [[name, value] for name, value in own(spec, named).items() if value != defaults[name]]


def of(spec: DenoiserSpec, named: Named) -> Variant:
    """Return the variant that a method's name selects."""
    offered, values = {option.name for option in _offered(spec)}, named.values()
    return Variant(**{name: value for name, value in values.items() if name in offered})  # type: ignore[arg-type]


def identity(spec: DenoiserSpec, named: Named) -> list[Any]:
    """Return what the added options contribute to a method's identity; nothing if all are at their defaults."""
    variant, found = of(spec, named), list[Any]()
    if spec.stabilise is not None and stabilises(spec, named) != spec.stabilise:
        found.append([STABILISE, not spec.stabilise])
    if not variant.plain:
        found.append(["variant", REVISION if variant.onnx else "", _chosen(spec, named)])
    return found


def packages(spec: DenoiserSpec, named: Named) -> tuple[str, ...]:
    """Return the distributions whose versions change a method's output, including those of its added options."""
    variant, found = of(spec, named), [*spec.packages]
    if stabilises(spec, named):
        found.append("scipy")  # its special functions are in the tables of the transforms
    if not variant.plain:
        found += variant.packages
    return tuple(dict.fromkeys(found))


def whole(spec: DenoiserSpec, named: Named) -> Named:
    """Return the name of the method without its variant, with its own options and `weights`."""
    offered = {option.name for option in _offered(spec)}
    given = {name: value for name, value in named.options if name not in offered}
    return resolve("method", spec.name, given, options_of(spec))


def without_weights(method: str) -> str:
    """Return a method's text without its choice of weights.

    Without weights, `unet[size=small,weights=mine]` becomes `unet[size=small]`.
    """
    name, given = split_method(method)
    body = ",".join(f"{key}={value}" for key, value in given.items() if key != WEIGHTS.name)
    return f"{name}[{body}]" if body else name


def settle(spec: DenoiserSpec, given: Mapping[str, str]) -> dict[str, str]:
    """Return the given options in a normal form, so that two spellings of one variant are equal.

    Only ONNX Runtime computes int8, so `backend=onnxruntime` is left out with `precision=int8`.

    Raises:
        BadOption: `precision=int8` is combined with another backend than ONNX Runtime.

    """
    offered = {option.name: option for option in _offered(spec)}
    if not {"precision", "backend"} <= offered.keys() or given.get("precision", "").strip() != "int8":
        return dict(given)
    backend = given.get("backend", "").strip()
    if backend in ("torch", "openvino"):
        raise BadOption(f"{spec.name}: int8 is computed by ONNX Runtime alone; leave backend={backend} out.")
    return {k: value for k, value in given.items() if k != "backend" or value.strip() != "onnxruntime"}


def check(named: Named, spec: DenoiserSpec) -> Named:
    """Return the name unchanged if its variant is a valid combination.

    Raises:
        BadOption: The combination is not valid; the message explains what is allowed.

    """
    variant = of(spec, named)
    problems = {
        "compile=true is torch's, and ONNX Runtime and OpenVINO compile by themselves; leave it out, or take "
        "precision fp32 or bf16 with backend=torch": variant.compile and variant.onnx,
        f"bfloat16 is torch's here; leave backend={variant.backend} out for bf16": (
            variant.onnx and variant.precision == "bf16"
        ),
        "a provider is ONNX Runtime's; add backend=onnxruntime or precision=int8, or leave the provider out": (
            variant.provider != "auto" and (not variant.onnx or variant.backend == "openvino")
        ),
    }
    for problem, wrong in problems.items():
        if wrong:
            raise BadOption(f"{named.text}: {problem}.")
    return named


def _offered(spec: DenoiserSpec) -> tuple[Option, ...]:
    if spec.trainable is None:
        return ()
    declared = {option.name for option in spec.options}
    return tuple(option for option in OPTIONS if option.name not in declared)


def _chosen(spec: DenoiserSpec, named: Named) -> dict[str, Value]:
    """Return the variant's options that are not at their defaults."""
    defaults = {option.name: option.fallback() for option in _offered(spec)}
    return {name: value for name, value in named.options if name in defaults and value != defaults[name]}

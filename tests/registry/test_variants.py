"""Deployment variants as names: one text for one meaning, what makes no sense refused, and identities of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api, registry, weights
from mdnbench.api import catalogue
from mdnbench.errors import BadOption, UnknownName
from mdnbench.planning import environment
from mdnbench.registry import Registry, variants
from mdnbench.spec.names import Option
from mdnbench.util.digests import of_parts

LEARNED = ("dncnn", "unet", "masked-unet")


@pytest.fixture(scope="module")
def known() -> Registry:
    """All plugins."""
    return registry.load()


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("unet[backend=torch,keep=1,precision=fp32,compile=no,provider=auto]", "unet"),
        ("unet[backend=onnxruntime,precision=int8]", "unet[precision=int8]"),
        ("unet[precision=int8,keep=0.70]", "unet[keep=0.7,precision=int8]"),
        ("unet[compile=1,precision=bf16]", "unet[precision=bf16,compile=true]"),
        ("unet[backend=onnxruntime,size=large,weights=mine]", "unet[size=large,weights=mine,backend=onnxruntime]"),
        ("unet[precision=int8,provider=tensorrt]", "unet[precision=int8,provider=tensorrt]"),
    ],
)
def test_equal_meanings_are_equal_texts(known: Registry, written: str, canonical: str) -> None:
    """Defaults are left out, and the backend of eight bits is not said."""
    assert known.method(written).text == canonical
    assert known.method(canonical).text == canonical


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("unet[backend=onnxruntime,compile=true]", "ONNX Runtime and OpenVINO compile by themselves; leave it out"),
        ("unet[backend=openvino,compile=true]", "leave it out, or take precision fp32 or bf16"),
        ("dncnn[precision=int8,compile=true]", "take precision fp32 or bf16 with backend=torch"),
        ("unet[backend=onnxruntime,precision=bf16]", "leave backend=onnxruntime out for bf16"),
        ("unet[backend=openvino,precision=bf16]", "leave backend=openvino out for bf16"),
        ("unet[backend=torch,precision=int8]", "leave backend=torch out"),
        ("unet[backend=openvino,precision=int8]", "leave backend=openvino out"),
        ("unet[backend=openvino,provider=cuda]", "add backend=onnxruntime or precision=int8"),
        ("masked-unet[provider=cuda]", "add backend=onnxruntime or precision=int8"),
        ("unet[keep=0.05]", "keep takes a number from 0.1 to 1"),
        ("unet[precision=int4]", "precision takes one of fp32, bf16, int8"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_is_allowed(text: str, advice: str) -> None:
    """Before anything is computed: the plan of a run with it cannot be made."""
    with pytest.raises(BadOption, match=advice):
        api.plan(methods=[text], sigma=50, dataset="sk12", images=["01"])


def test_every_learned_method_shows_them(known: Registry) -> None:
    """`describe` lists all of them for learned methods, and none for others."""
    names = {option.name for option in variants.OPTIONS}
    for method in known.denoisers:
        listed = {each.name for each in catalogue.describe(method, []).options}
        assert names <= listed if method in LEARNED else not names & listed


def test_a_methods_own_option_comes_first(known: Registry) -> None:
    """Where a plugin declares an option of such a name, that is the plugin's, and its method has no such variant."""
    spec = known.denoisers["unet"]
    own = dataclasses.replace(spec, options=(*spec.options, Option("precision", str, "half", choices=("half", "full"))))
    offered = [option.name for option in variants.options_of(own)]
    assert offered.count("precision") == 1
    named = variants.check(
        variants.resolve("method", "unet", variants.settle(own, {"precision": "full"}), variants.options_of(own)), own
    )
    assert variants.own(own, named)["precision"] == "full"
    assert variants.of(own, named) == variants.Variant()
    assert variants.identity(own, named) == []


def test_identities_differ_and_the_methods_own_stays(known: Registry) -> None:
    """Each variant has an identity of its own; the default's is made of nothing that variants brought."""
    texts = [
        "unet", "unet[backend=onnxruntime]", "unet[precision=int8]", "unet[precision=bf16]", "unet[compile=true]",
        "unet[precision=bf16,compile=true]", "unet[keep=0.5]", "unet[backend=onnxruntime,provider=cuda]",
        "unet[backend=openvino]",
    ]  # fmt: skip
    plan = api.plan(methods=texts, sigma=50, dataset="sk12", images=["01"])
    assert len({work.identity for work in plan.works}) == len(texts)
    whole = plan.works[0]
    assert variants.identity(whole.spec, whole.named) == []
    assert list(whole.packages) == list(whole.spec.packages)
    assert set(plan.works[1].packages) == {"torch", "onnx", "onnxscript", "onnxruntime"}
    assert "onnxruntime" not in plan.works[3].packages
    assert set(plan.works[-1].packages) == {"torch", "onnx", "onnxscript", "onnxruntime", "openvino"}
    assert whole.weights is not None
    assert whole.identity == of_parts(
        "unet", [], whole.spec.revision,
        [["torch", environment.version_of("torch")]], whole.weights.sha256, "known", "cpu",
    )  # fmt: skip


def test_the_whole_method_of_a_variant(known: Registry) -> None:
    """Without its variant, with its own options and the weights that it names."""
    spec = known.denoisers["unet"]
    named = known.method("unet[size=large,weights=mine,keep=0.5,precision=int8]")
    assert variants.whole(spec, named).text == "unet[size=large,weights=mine]"
    assert variants.whole(spec, known.method("unet")).text == "unet"


@pytest.mark.full
def test_a_missing_package_is_a_reason_to_skip(workspace: Path, cli: Callable[..., Any]) -> None:
    """Where onnx is not installed, a variant's cells are skipped with what to install, and the others run."""
    site = workspace / "site"
    site.mkdir()
    (site / "onnx.py").write_text("raise ImportError('no onnx here')\n", encoding="utf-8")
    done = cli(
        "run", "--methods", "noisy,unet[backend=onnxruntime]", "--sigma", 50, "--dataset", "sk12", "--images", "01",
        "--metrics", "psnr", "--no-timing", "--jobs", 1, PYTHONPATH=str(site),
    )  # fmt: skip
    assert done.returncode == 4, done.stderr  # it was asked for by name
    assert "onnx cannot be imported (no onnx here); install it with: pip install 'mdnbench[deploy]'" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("written", "canonical", "on"),
    [
        ("bm3d[stabilise=yes]", "bm3d", True),
        ("bm3d[stabilise=off,profile=lc]", "bm3d[profile=lc,stabilise=false]", False),
        ("dncnn[stabilise=false]", "dncnn", False),
        ("dncnn[precision=int8,stabilise=true]", "dncnn[stabilise=true,precision=int8]", True),
    ],
)
def test_stabilise_is_an_option_with_the_methods_default(
    known: Registry, written: str, canonical: str, on: bool
) -> None:
    """The default is left out of names, and the option stands after the method's own."""
    named = known.method(written)
    assert named.text == canonical
    assert variants.stabilises(known.denoisers[named.name], named) == on


def test_stabilise_is_declared_by_methods_for_gaussian_noise(known: Registry) -> None:
    """On for the classical ones, off for networks, and not offered to those that assume no Gaussian noise."""
    declared = {name: spec.stabilise for name, spec in known.denoisers.items()}
    assert {name for name, default in declared.items() if default} == {"bm3d", "nlm", "tv", "wavelet"}
    assert {name for name, default in declared.items() if default is False} == {*LEARNED}
    with pytest.raises(UnknownName, match="stabilise"):
        known.method("median[stabilise=true]")


def test_stabilise_changes_an_identity_where_it_is_not_the_default(known: Registry) -> None:
    """Its default adds nothing to a method's identity, the other value does; it makes a method want all it can know."""
    for default, other in (("bm3d", "bm3d[stabilise=false]"), ("dncnn", "dncnn[stabilise=true]")):
        spec = known.denoisers[default]
        assert variants.identity(spec, known.method(default)) == []
        assert variants.identity(spec, known.method(other)) == [["stabilise", not spec.stabilise]]
    dncnn = known.denoisers["dncnn"]
    assert variants.wants(dncnn, known.method("dncnn")) == "nothing"
    assert variants.wants(dncnn, known.method("dncnn[stabilise=true]")) == "noise"
    assert variants.packages(dncnn, known.method("dncnn")) == ("torch",)
    assert variants.packages(dncnn, known.method("dncnn[stabilise=true]")) == ("torch", "scipy")


def test_a_stabilised_network_uses_weights_for_gaussian_noise(known: Registry) -> None:
    """What it sees is Gaussian noise: nothing is said about weights for another noise."""
    dncnn, noise = known.denoisers["dncnn"], known.noise("poisson:30")
    plain = weights.resolve(dncnn, known.method("dncnn"), noise)
    stabilised = weights.resolve(dncnn, known.method("dncnn[stabilise=true]"), noise)
    assert plain is not None
    assert stabilised is not None
    assert "not for poisson" in plain.note
    assert stabilised.note == ""
    assert {cover.family for cover in stabilised.weights.card.noise} == {"gaussian"}

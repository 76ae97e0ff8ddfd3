"""Weights files and their cards: damaged, made up, or random; never loaded as something that they are not."""

from __future__ import annotations

import json
import struct
import warnings
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import strategies as st

from mdnbench import registry, weights
from mdnbench.spec import tomlfile
from mdnbench.util import digests

KINDS = st.sampled_from(["F32", "F16", "BF16", "F64", "I64", "U8", "BOOL", "F8_E4M3", "nonsense"])
NUMBERS = st.one_of(st.integers(-2, 64), st.integers(2**31, 2**64), st.text(max_size=3), st.none())
TENSORS = st.fixed_dictionaries(
    {"dtype": KINDS, "shape": st.lists(NUMBERS, max_size=3), "data_offsets": st.lists(NUMBERS, max_size=3)}
)
HEADERS = st.dictionaries(st.text(max_size=6), st.one_of(TENSORS, NUMBERS), max_size=3)


@st.composite
def safetensors(draw: st.DrawFn) -> bytes:
    """A file that is nearly in the format: a length, a header, a body, each of which may lie."""
    header = json.dumps(draw(HEADERS)).encode()
    length = draw(st.one_of(st.just(len(header)), st.integers(0, 2**64 - 1)))
    content = struct.pack("<Q", length) + header + draw(st.binary(max_size=64))
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


def test_weights_files(fuzz: Any, attempt: Any, workspace: Path) -> None:
    """With a card whose digest fits, so that the format itself is met: tensors come out, or one line with the path."""
    path = workspace / "own.safetensors"

    def check(content: bytes, honest: bool) -> None:
        path.write_bytes(content)
        digest = digests.of_file(path) if honest else "0" * 64
        found = weights.Weights("own", path, digest, weights.Card("dncnn", sha256=digest, bytes=len(content)))
        state, refusal = attempt(weights.load_state, found)
        if state is None:
            assert str(path) in refusal
        else:
            assert honest
            assert all(not tensor.is_floating_point() or tensor.dtype.itemsize == 4 for tensor in state.values())

    fuzz(check, 100, content=st.one_of(safetensors(), safetensors(), st.binary(max_size=100)), honest=st.booleans())


ANYTHING = st.recursive(
    st.one_of(st.text(max_size=8), st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


def test_cards(fuzz: Any, attempt: Any, workspace: Path) -> None:
    """A shipped card with keys that are missing, of another kind, or damaged: resolved, or refused by its path."""
    spec = registry.load().denoisers["dncnn"]
    assert spec.trainable is not None
    (shipped, *_) = sorted(spec.trainable.weights.glob("*.toml"))
    table, known = tomlfile.read(shipped, "card"), registry.load()
    folder = workspace / "home" / "weights" / "dncnn"
    folder.mkdir(parents=True)
    method, noise = known.method("dncnn[weights=own]"), known.noise("gaussian:50")

    def check(changes: dict[str, Any], gone: list[str], cut: int) -> None:
        content = tomli_w.dumps({key: value for key, value in (table | changes).items() if key not in gone})
        (folder / "own.toml").write_bytes(content.encode("utf-8", "backslashreplace")[: cut or None])
        found, refusal = attempt(weights.resolve, spec, method, noise)
        assert found or str(folder / "own.toml") in refusal or "the weights own" in refusal

    keys = st.sampled_from(sorted(table))
    fuzz(check, 60, changes=st.dictionaries(st.one_of(keys, keys, st.text(max_size=4)), ANYTHING, max_size=2),
         gone=st.lists(keys, max_size=1), cut=st.one_of(st.just(0), st.just(0), st.integers(1, 400)))  # fmt: skip


def test_published_weights(fuzz: Any, attempt: Any, workspace: Path) -> None:
    """Files that should hold PyTorch tensors: taken in whole or refused by their path, and nothing is left behind."""
    spec = registry.load().denoisers["dncnn"]
    path = workspace / "published.pth"
    sound = _torch_file()

    def check(content: bytes, place: int, byte: int, cut: int) -> None:
        whole = bytearray(content or sound)
        whole[place % len(whole)] = byte
        path.write_bytes(whole[: cut or None])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found, refusal = attempt(weights.import_weights, spec, path, "own")
        if found is None:
            assert str(path) in refusal or "DnCNN" in refusal
            assert not list((workspace / "home").rglob("own*"))

    fuzz(check, 50, content=st.one_of(st.just(b""), st.binary(min_size=1, max_size=80)), place=st.integers(0, 10**6),
         byte=st.integers(0, 255), cut=st.one_of(st.just(0), st.integers(1, 900)))  # fmt: skip


def _torch_file() -> bytes:
    """A small state as torch saves it: no network of ours."""
    import io

    import torch

    buffer = io.BytesIO()
    torch.save({"model.0.weight": torch.zeros(4, 1, 3, 3), "steps": 7}, buffer)
    return buffer.getvalue()

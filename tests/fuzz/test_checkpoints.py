"""Checkpoints of strangers: any tables of any tensors, any bytes; read, or refused in one line with their path."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import nn

from mdnbench import weights
from mdnbench.weights import inspection
from mdnbench.wrappers.torch_module import load

KEYS = st.one_of(
    st.sampled_from(["weight", "bias", "module.weight", "module.bias", "net.weight", "net.bias", "params", "params_ema",
                     "state_dict", "model", "optimizer", "epoch", "running_var", "a\x1b[31m\nb", ""]),
    st.text(max_size=5), st.integers(-3, 2**70), st.binary(max_size=3), st.none(), st.booleans(),
)  # fmt: skip
DTYPES = st.sampled_from([torch.float32, torch.float16, torch.float64, torch.int64, torch.uint8, torch.bool,
                          torch.bfloat16, torch.complex64, torch.float8_e4m3fn])  # fmt: skip
SHAPES = st.one_of(st.just((1, 1, 3, 3)), st.just((1,)), st.lists(st.integers(0, 3), max_size=3).map(tuple))


@st.composite
def tensors(draw: st.DrawFn) -> Any:
    """A small tensor of any type, shape and kind."""
    tensor = torch.full(draw(SHAPES), draw(st.sampled_from([0.0, 1.5, float("nan"), float("inf")]))).to(draw(DTYPES))
    kind = draw(st.sampled_from(["plain", "plain", "plain", "meta", "sparse", "parameter", "expanded"]))
    if kind == "meta":
        return tensor.to("meta")
    if kind == "sparse" and tensor.dtype == torch.float32:
        return tensor.to_sparse() if tensor.ndim else tensor
    if kind == "expanded" and tensor.ndim == 1 and len(tensor) == 1:
        return tensor.expand(draw(st.sampled_from([2, 100, 10**9, 10**12])))
    return nn.Parameter(tensor, requires_grad=False) if kind == "parameter" else tensor


NUMBERS = st.one_of(st.integers(), st.floats(), st.text(max_size=4), st.sampled_from([np.float64(1), np.zeros(2)]))
CONTENTS = st.recursive(
    st.one_of(tensors(), tensors(), tensors(), NUMBERS),
    lambda inner: st.one_of(st.dictionaries(KEYS, inner, max_size=4), st.lists(inner, max_size=2)),
    max_leaves=8,
)


def read(attempt: Any, path: Path) -> None:
    """Every reader takes the file in, or refuses it in one printable line that names it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        taken = {
            "tensors": attempt(weights.tensors_in, path),
            "network": attempt(load, "mine", lambda: nn.Conv2d(1, 1, 3), path),
            "inspection": attempt(lambda: inspection.inspect(path, [])),
        }
    for name, (found, refusal) in taken.items():
        if found is None:
            assert str(path) in refusal
            assert refusal.isprintable(), refusal
        elif name == "tensors":
            assert all(isinstance(key, str) and torch.isfinite(tensor.float()).all() for key, tensor in found.items())
        elif name == "network":
            assert all(torch.isfinite(tensor).all() for tensor in found.state_dict().values())


def test_checkpoints_of_any_content(fuzz: Any, attempt: Any, workspace: Path) -> None:
    """Tables within tables, odd keys, odd tensors, numbers: in both of torch's formats."""
    path = workspace / "w.pth"

    def check(content: Any, legacy: bool) -> None:
        try:
            torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        except RuntimeError:  # a text that torch itself cannot write
            return
        read(attempt, path)

    fuzz(check, 100, content=st.dictionaries(KEYS, CONTENTS, max_size=4), legacy=st.booleans())


def sound() -> bytes:
    """What torch.save writes of a small state."""
    buffer = io.BytesIO()
    torch.save({"net": {"weight": torch.zeros(1, 1, 3, 3), "bias": torch.zeros(1)}, "best": np.float64(3)}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_checkpoints_of_any_bytes(fuzz: Any, attempt: Any, workspace: Path, suffix: str) -> None:
    """Beginnings of many formats with anything behind them, and a sound file with bytes altered or its end cut off."""
    path, whole = workspace / f"w{suffix}", sound()
    heads = st.sampled_from(
        [b"", b"PK\x03\x04", b"\x80\x02", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"<html", b"{", b"\x93NUMPY",
         b"MATLAB 5.0", b"\x08\x08\x12", b"\x10\x00\x00\x00\x00\x00\x00\x00{"]
    )  # fmt: skip

    def check(head: bytes, rest: bytes, changes: list[tuple[int, int]], cut: int) -> None:
        content = bytearray(head + rest if head else whole)
        for place, byte in changes:
            content[place % max(1, len(content))] = byte
        path.write_bytes(content[: len(content) - cut % (len(content) + 1)])
        read(attempt, path)

    changes = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4)
    fuzz(check, 50, head=heads, rest=st.binary(min_size=1, max_size=80), changes=changes,
         cut=st.one_of(st.just(0), st.just(0), st.integers(0, 3000)))  # fmt: skip


def test_checkpoints_with_any_pickle(fuzz: Any, attempt: Any, workspace: Path) -> None:
    """An archive as torch's whose pickle holds any instructions: no name is looked up that is not data."""
    path = workspace / "w.pth"
    names = ("posix system", "builtins eval", "torch FloatTensor", "collections OrderedDict", "_codecs encode", "os x")
    calls = [f"c{name.replace(' ', chr(10))}\n".encode() for name in names]
    pieces = st.one_of(st.sampled_from([*calls, b"}", b"]", b"(", b"t", b"R", b"s", b"u", b"b", b"\x81", b"0", b"2"]),
                       st.sampled_from([b"X\x01\x00\x00\x00a", b"K\x01", b"q\x00", b"h\x00", b"\x85", b"\x86", b"Q"]),
                       st.binary(max_size=3))  # fmt: skip

    def check(parts: list[bytes]) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02" + b"".join(parts) + b".")
            archive.writestr("archive/version", "3\n")
        read(attempt, path)

    fuzz(check, 100, parts=st.lists(pieces, max_size=12))

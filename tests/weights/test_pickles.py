"""What pickles ask for is found without running them."""

from __future__ import annotations

import collections
import io
import os
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest
import torch

from mdnbench.util import limits
from mdnbench.weights import pickles


class Calls:
    """Asks for a function when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """A call."""
        return os.mkdir, ("sprung",)


MKDIR = f"{os.mkdir.__module__}.mkdir"


def saved(content: Any) -> io.BytesIO:
    """The pickle in what torch.save writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return io.BytesIO(archive.read("archive/data.pkl"))


@pytest.mark.parametrize("protocol", range(6))
def test_names_of_every_protocol(protocol: int) -> None:
    """A function is found in whatever form it is asked for, also where it is asked for twice."""
    content = pickle.dumps({"a": [1, 2.5, "x" * 300, None, True], "b": [Calls(), Calls()]}, protocol)
    assert MKDIR in pickles.foreign(io.BytesIO(content))


def test_tensors_are_data() -> None:
    """Every type of number, parameters, sparse and meta tensors, NumPy numbers, an optimiser."""
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimiser = torch.optim.Adam([parameter])
    parameter.sum().backward()
    optimiser.step()
    dtypes = (torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.bool, torch.complex64, torch.uint16)
    content = {
        "tensors": [torch.zeros(2, dtype=dtype) for dtype in dtypes], "parameter": parameter,
        "optimiser": optimiser.state_dict(), "sparse": torch.eye(2).to_sparse(), "meta": torch.zeros(2, device="meta"),
        "numbers": [np.float64(1), np.int64(2)], "set": {1}, "counter": collections.Counter("a"), "bytes": b"abc",
        "size": torch.Size([1]), "device": torch.device("cpu"), "dtype": torch.float32,
    }  # fmt: skip
    assert pickles.foreign(saved(content)) == []


def test_the_file_is_left_behind_the_pickle() -> None:
    """Several pickles one behind the other are read one by one."""
    content = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps(Calls(), 2) + b"rest")
    assert pickles.foreign(content) == []
    assert pickles.foreign(content) == [MKDIR]
    assert content.read() == b"rest"


def test_texts_are_encoded_once() -> None:
    """Bytes as Python 3 writes them are data; an encoding upon an encoding is not."""
    assert pickles.foreign(io.BytesIO(pickle.dumps([b"abc", b"\xff\x00", b"abc"], 2))) == []
    text = b"X\x01\x00\x00\x00a"
    for codec in (b"hex", b"utf-8", b"bz2"):
        call = b"c_codecs\nencode\n" + text + b"X" + len(codec).to_bytes(4, "little") + codec + b"\x86R."
        assert pickles.foreign(io.BytesIO(call)) == [pickles.ENCODE]
    stored = b"c_codecs\nencode\nq\x00" + text + b"X\x06\x00\x00\x00latin1\x86R" + b"h\x000."
    assert pickles.foreign(io.BytesIO(stored)) == [pickles.ENCODE]


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x80\x02", b"\x80\x02\xff.", b"X\xff\xff\xff\xffa", b"cposix\n"])
def test_damaged_pickles(content: bytes) -> None:
    """Cut short, or with instructions that are none."""
    with pytest.raises(pickles.BadPickle):
        pickles.foreign(io.BytesIO(content))


def test_pickles_that_are_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are given up at the limit."""
    monkeypatch.setattr(limits, "MAX_PICKLE_STEPS", 100)
    assert pickles.foreign(io.BytesIO(b"N0" * 40 + b"N.")) == []
    with pytest.raises(pickles.BadPickle, match="more than 100 instructions"):
        pickles.foreign(io.BytesIO(b"N0" * 60 + b"N."))

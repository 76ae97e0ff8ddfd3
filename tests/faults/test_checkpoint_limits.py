"""Fault 54: keys, tensors and files that no network can take. One line each, in bounded time and memory."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mdnbench import api, wrap_torch
from mdnbench.errors import WeightsError
from mdnbench.util import limits
from mdnbench.weights import tensors_in
from mdnbench.wrappers.torch_module import load

WEIGHT = torch.arange(9.0).reshape(1, 1, 3, 3)
SOUND = {"weight": WEIGHT, "bias": torch.zeros(1)}


def network() -> nn.Module:
    """What the state is of."""
    return nn.Conv2d(1, 1, 3)


def refusal(path: Path = Path("w.pth"), call: Callable[[Path], Any] = tensors_in) -> str:
    """The one line in which a file is refused, within seconds."""
    began = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        call(path)
    assert time.monotonic() - began < 60
    assert len(str(caught.value).splitlines()) == 1
    assert str(path) in str(caught.value)
    return str(caught.value)


def into_network(path: Path) -> Any:
    """The network filled from a file."""
    return load("mine", network, path)


def kinds() -> dict[str, tuple[Any, str]]:
    """Tensors that are none for a network, by what is said of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some kinds are new, others are going away
        return {
            "meta": (WEIGHT.to("meta"), "weight (on the device 'meta': a shape without values)"),
            "sparse": (WEIGHT.to_sparse(), "weight (sparse, sparse_coo; save its to_dense())"),
            "rows": (WEIGHT[0, 0].to_sparse_csr(), "weight (sparse, sparse_csr; save its to_dense())"),
            "complex": (WEIGHT.to(torch.complex64), "weight (complex numbers"),
            "quantised": (torch.quantize_per_tensor(WEIGHT, 0.1, 0, torch.qint8), "weight (quantised"),
            "nan": (WEIGHT / WEIGHT, "weight (NaN)"),
            "infinite": (1 / WEIGHT, "weight (infinite"),
            "too large": (WEIGHT.double() * 1e300, "weight (infinite, in float32 at least)"),
            "half": ((1 / WEIGHT).half(), "weight (infinite"),
        }


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", kinds())
def test_fault_54_tensors_without_plain_values(kind: str, legacy: bool) -> None:
    """Each is named with its key; into a network it is not copied, whatever it would have become there."""
    tensor, words = kinds()[kind]
    torch.save({"state_dict": SOUND | {"weight": tensor}}, "w.pth", _use_new_zipfile_serialization=not legacy)
    assert words in refusal()
    message = refusal(call=into_network)
    assert words in message or "of another network" in message
    (state,) = api.inspect_weights(Path("w.pth")).states
    assert words in state.faults
    assert state.fits == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({0: WEIGHT, 1: WEIGHT}, "keys that are no texts: 0, 1"),
        ({"weight": WEIGHT, 7: WEIGHT}, "keys that are no texts: 7"),
        ({b"weight": WEIGHT}, "keys that are no texts: b'weight'"),
        ({("a", 1): WEIGHT}, "keys that are no texts: ('a', 1)"),
        ({None: WEIGHT}, "keys that are no texts: None"),
    ],
)
def test_fault_54_keys_that_are_no_texts(content: Any, words: str) -> None:
    """They are named, for every reader."""
    torch.save(content, "w.pth")
    assert words in refusal()
    refusal(call=into_network)
    refusal(call=lambda path: api.import_weights("dncnn", path, "own"))
    assert words in api.inspect_weights(Path("w.pth")).states[0].faults


@pytest.mark.parametrize("legacy", [False, True])
def test_fault_54_nested_tensors(legacy: bool) -> None:
    """They are refused before torch reads them: it would take their sizes from memory that is not filled yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(
            {"a": torch.nested.nested_tensor([WEIGHT, WEIGHT])}, "w.pth", _use_new_zipfile_serialization=not legacy
        )
    assert "asks for torch._utils._rebuild_nested_tensor" in refusal()


def test_fault_54_numbers_of_another_kind() -> None:
    """Whole numbers where the network has others, and the other way round, are refused; halves are read in full."""
    torch.save(SOUND | {"weight": WEIGHT.to(torch.uint8)}, "w.pth")
    assert "weight torch.uint8, but the network has torch.float32" in refusal(call=into_network)
    for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn):
        torch.save({key: tensor.to(dtype) for key, tensor in SOUND.items()}, "w.pth")
        assert torch.equal(into_network(Path("w.pth")).weight, WEIGHT)


PLACES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "fifo": (os.mkfifo, "it is a FIFO (a named pipe), not a file"),
    "folder": (Path.mkdir, "it is a folder"),
    "loop": (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels of symbolic links"),
    "device": (lambda path: path.symlink_to(os.devnull), "it is a device, not a file"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "nowhere": (lambda path: path.symlink_to("gone"), "there is no weights file"),
    "huge": (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**42), "4294967296 are allowed"),
}


@pytest.mark.parametrize("place", PLACES)
def test_fault_54_what_is_no_plain_file(place: str, workspace: Path) -> None:
    """Nothing is waited for, and nothing endless is read."""
    make, words = PLACES[place]
    make(Path("w.pth"))
    assert words in refusal()
    assert words in refusal(call=api.inspect_weights)
    assert words in refusal(call=lambda path: api.import_weights("dncnn", path, "own"))
    spec = wrap_torch("mine", network, workspace / "w.pth")
    with pytest.raises(WeightsError) as caught:
        spec.build({}, "cpu", None)
    assert words in str(caught.value)


def peak_mb(path: Path) -> float:
    """How many MB a fresh process holds at most beyond torch when it looks into a file, which it must refuse."""
    script = (
        "import resource, sys, torch, safetensors.torch\n"
        "from pathlib import Path\n"
        "from mdnbench.errors import WeightsError\n"
        "from mdnbench.weights import tensors_in\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    tensors_in(Path(sys.argv[1]))\n"
        "except WeightsError as error:\n    print(error, file=sys.stderr)\n"
        "else:\n    sys.exit('it was read')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True, timeout=120)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return float(done.stdout) / 1024


def bomb(path: Path, megabytes: int) -> None:
    """A file of torch's own form whose tensor was deflated: zeros of so many MB in a thousandth of that."""
    torch.save({"weight": torch.zeros(1)}, "small.pth")
    with zipfile.ZipFile("small.pth") as small, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as large:
        for member in small.infolist():
            if not member.filename.endswith("data/0"):
                large.writestr(member, small.read(member))
        with large.open(
            next(each for each in small.namelist() if each.endswith("data/0")), "w", force_zip64=True
        ) as file:
            for _ in range(megabytes):
                file.write(bytes(2**20))


@pytest.mark.parametrize("megabytes", [300, pytest.param(2048, marks=pytest.mark.full)])
def test_fault_54_a_zip_bomb(megabytes: int) -> None:
    """What would unpack to far more than the file has is refused before anything is unpacked."""
    path = Path("w.pth")
    bomb(path, megabytes)
    assert path.stat().st_size < 3 * 2**20
    assert "would unpack to" in refusal()
    assert peak_mb(path) < 100


def test_fault_54_a_shape_without_values() -> None:
    """A tensor of a million million numbers that all are one number of the file."""
    torch.save({"weight": torch.zeros(1).expand(10**6, 10**6)}, "w.pth")
    assert "its tensors claim 4000000000000" in refusal()
    assert peak_mb(Path("w.pth")) < 100
    torch.save(SOUND | {"bias": torch.zeros(1).expand(1)}, "w.pth")
    into_network(Path("w.pth"))


def pickled(path: Path, instructions: bytes) -> None:
    """A file of torch's own form with this pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + instructions + b".")
        archive.writestr("archive/version", "3\n")


def calling(name: str, arguments: bytes) -> bytes:
    """The instructions of a call."""
    return b"c" + name.replace(".", "\n", 1).encode() + b"\n" + arguments + b"R"


HUGE = b"\x8a\x06" + struct.pack("<Q", 2**40)[:6] + b"\x85"  # (2**40,)
ENCODED = calling("_codecs.encode", b"X\x04\x00\x00\x00aaaaX\x06\x00\x00\x00latin1\x86")
PICKLES = {
    "bytes of any size": calling("builtins.bytearray", HUGE),
    "a tensor of any size": b"ctorch\nFloatTensor\n" + HUGE + b"R",
    "texts that grow": calling("_codecs.encode", ENCODED + b"X\x03\x00\x00\x00hex\x86"),
    "too many instructions": b"N0" * (limits.MAX_PICKLE_STEPS // 2 + 10) + b"N",
    "a long text": b"X" + struct.pack("<I", limits.MAX_PICKLE_BYTES) + b"a" * limits.MAX_PICKLE_BYTES,
    "tables in tables": b"}q\x00"
    + b"".join(b"h\x00X\x01\x00\x00\x00" + bytes([65 + n]) + b"h\x00s" for n in range(50)),
}


LONG = ("too many instructions",)


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.full) if each in LONG else each for each in PICKLES]
)
def test_fault_54_pickles_that_would_grow(name: str) -> None:
    """A few bytes that would become gigabytes, or go round in circles."""
    pickled(Path("w.pth"), PICKLES[name])
    refusal()
    assert peak_mb(Path("w.pth")) < 200
    Path("bare.pth").write_bytes(b"\x80\x02" + PICKLES[name] + b".")
    refusal(Path("bare.pth"))


def test_fault_54_members_that_are_there_twice() -> None:
    """Two readers of an archive may take two members of one name for the true one."""
    torch.save(SOUND, "w.pth")
    with warnings.catch_warnings(), zipfile.ZipFile("w.pth", "a") as archive:
        warnings.simplefilter("ignore")
        name = next(each for each in archive.namelist() if each.endswith("data.pkl"))
        archive.writestr(name, pickle.dumps({}, 2))
    assert "members of one name twice" in refusal()


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 10**12]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "C128", "shape": [1], "data_offsets": [0, 4]}},
    ],
)
def test_fault_54_safetensors_that_claim_too_much(header: Any) -> None:
    """Shapes and places beyond the file."""
    text = json.dumps(header).encode()
    Path("w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    refusal(Path("w.safetensors"))
    Path("w.safetensors").write_bytes(struct.pack("<Q", 2**40) + text + bytes(4))
    refusal(Path("w.safetensors"))


def test_fault_54_files_that_are_cut_or_altered() -> None:
    """At any place: read as they were, or refused in one line."""
    for legacy in (False, True):
        buffer = io.BytesIO()
        torch.save(SOUND, buffer, _use_new_zipfile_serialization=not legacy)
        sound = buffer.getvalue()
        for length in range(0, len(sound), 61):
            Path("w.pth").write_bytes(sound[:length])
            refusal()


def test_fault_54_this_process_is_not_limited_for_it() -> None:
    """The reader changes no limit of its process."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    torch.save(SOUND, "w.pth")
    tensors_in(Path("w.pth"))
    assert resource.getrlimit(resource.RLIMIT_AS) == before

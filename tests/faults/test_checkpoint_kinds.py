"""Fault 52: files that are no weights, each named for what it is; NumPy numbers beside a state are no code."""

from __future__ import annotations

import argparse
import collections
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from safetensors.torch import save_file
from torch import nn

from mdnbench import api
from mdnbench.errors import WeightsError
from mdnbench.util import paths
from mdnbench.weights import tensors_in

STATE = {"body.weight": torch.arange(6.0).reshape(2, 3), "body.bias": torch.zeros(2)}
HTML = "<!DOCTYPE html><html><title>Virus scan warning</title></html>"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2224903\n"


class Whole(nn.Module):
    """A network that is pickled whole."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3)

    def forward(self, image: Any) -> Any:
        """(1, 1, H, W) in and out."""
        return self.layer(image)


class Trap:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """What an attacker would write."""
        return os.mkdir, ("sprung",)


def texts(path: Path, content: str | bytes) -> None:
    """Write a file."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def written(save: Callable[..., None], *values: Any, **named: Any) -> bytes:
    """What NumPy writes."""
    buffer = io.BytesIO()
    save(buffer, *values, **named)
    return buffer.getvalue()


def onnx_file(path: Path) -> None:
    """A small ONNX file, as the onnx package writes it."""
    onnx = pytest.importorskip("onnx")
    value = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    onnx.save(onnx.helper.make_model(graph), path)


def script_file(path: Path) -> None:
    """A TorchScript archive."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises to use something else
        torch.jit.save(torch.jit.trace(Whole().eval(), torch.zeros(1, 1, 8, 8)), path)


def old_tar(path: Path) -> None:
    """The members that PyTorch's files of 2016 had."""
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())


def archived(path: Path) -> None:
    """A state inside a ZIP archive, as some hosts pack it."""
    torch.save(STATE, "inner.pth")
    with zipfile.ZipFile(path, "w") as archive:
        archive.write("inner.pth")


def matlab_73(path: Path) -> None:
    """The beginning of a MATLAB 7.3 file: 512 bytes of text, then HDF5."""
    texts(path, b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(64))


KINDS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "page": (lambda path: texts(path, HTML), "a web page"),
    "page with a mark": (lambda path: texts(path, "\ufeff\n  <html lang='en'>"), "a web page"),
    "xml": (lambda path: texts(path, "<?xml version='1.0'?><Error>AccessDenied</Error>"), "XML"),
    "json": (lambda path: texts(path, '{"error": "not found"}'), 'JSON, beginning with \'{"error": "not found"}\''),
    "text": (lambda path: texts(path, "Not Found\n"), "text, beginning with 'Not Found'"),
    "lfs": (lambda path: texts(path, POINTER), "a Git LFS pointer, a text that stands for 2224903 bytes"),
    "annex": (lambda path: texts(path, "/annex/objects/SHA256E-s1--0.pth\n"), "a git-annex pointer"),
    "empty": (lambda path: texts(path, b""), "empty: it has 0 bytes"),
    "matlab 5": (lambda path: scipy.io.savemat(path, {"a": np.zeros(3)}, appendmat=False), "a MATLAB 5 file"),
    "matlab 7.3": (matlab_73, "a MATLAB 7.3 file"),
    "hdf5": (lambda path: texts(path, b"\x89HDF\r\n\x1a\n" + bytes(99)), "an HDF5 file"),
    "npz": (lambda path: texts(path, written(np.savez, a=np.zeros(3))), "a NumPy archive (.npz)"),
    "npy": (lambda path: texts(path, written(np.save, np.zeros(3))), "a NumPy array (.npy)"),
    "onnx": (onnx_file, "an ONNX file"),
    "script": (script_file, "a TorchScript archive"),
    "tar": (old_tar, "a PyTorch file of 2016 or 2017, in tar form"),
    "zip": (archived, "a ZIP archive that torch.save did not write"),
    "gzip": (lambda path: texts(path, b"\x1f\x8b\x08" + bytes(20)), "compressed with gzip"),
    "noise": (lambda path: texts(path, b"\x07\x99\xfe" * 40), "in no format that is known here"),
}


def refusal(path: Path) -> str:
    """The one line in which a file is refused."""
    with pytest.raises(WeightsError) as caught:
        tensors_in(path)
    assert len(str(caught.value).splitlines()) == 1
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".ckpt", ""])
@pytest.mark.parametrize("kind", KINDS)
def test_fault_52_files_are_named_for_what_they_are(kind: str, suffix: str) -> None:
    """By their content, whatever their name ends in; and what to do is said."""
    write, words = KINDS[kind]
    path = Path(f"file{suffix}")
    write(path)
    if kind == "noise" and suffix == ".safetensors":
        words = "is damaged: its header claims"
    assert words in refusal(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_fault_52_a_whole_pickled_network(legacy: bool) -> None:
    """It needs the code of its classes: refused by their names, with what its owner can do."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(Whole(), "w.pth", _use_new_zipfile_serialization=not legacy)
    message = refusal(Path("w.pth"))
    assert "a whole pickled network, which needs the code of its classes" in message
    assert "Whole" in message
    assert "torch.save(network.state_dict(), FILE)" in message


CODE = {
    "argparse.Namespace": {"state_dict": STATE, "args": argparse.Namespace(lr=1)},
    "pathlib.PosixPath": {"state_dict": STATE, "folder": Path("x")},
    f"{os.mkdir.__module__}.mkdir": {"state_dict": STATE, "trap": Trap()},
    "collections.defaultdict": {"state_dict": STATE, "log": collections.defaultdict(list)},
}


@pytest.mark.parametrize("name", CODE)
@pytest.mark.parametrize("legacy", [False, True])
def test_fault_52_code_beside_a_state(name: str, legacy: bool) -> None:
    """What asks for a class or a function is refused by its name, and nothing is run."""
    torch.save(CODE[name], "w.pth", _use_new_zipfile_serialization=not legacy)
    message = refusal(Path("w.pth"))
    assert "asks for" in message
    assert name in message
    assert "nothing in it was run" in message
    assert not Path("sprung").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_fault_52_a_pickle_of_python_itself(protocol: int) -> None:
    """Not torch's: with code it is refused by the code's name, without by what it is."""
    Path("w.pth").write_bytes(pickle.dumps(Trap(), protocol))
    message = refusal(Path("w.pth"))
    assert not Path("sprung").exists()
    if protocol >= 2:
        assert f"asks for {os.mkdir.__module__}.mkdir" in message
        Path("w.pth").write_bytes(pickle.dumps({"a": [1, 2.5, "x"]}, protocol))
        assert "a plain Python pickle, which torch.save did not write" in refusal(Path("w.pth"))


HARMLESS: dict[str, Any] = {
    "float64": np.float64(31.2), "float32": np.float32(1), "int64": np.int64(7), "bool": np.bool_(True),
    "array": np.arange(9.0), "dtype": np.dtype("f4"), "type": np.float32, "text": np.str_("x"),
    "state of the random numbers": np.random.RandomState(0).get_state(), "list": [np.float64(1)] * 100,
    "ints": np.zeros(3, np.uint32), "empty": np.zeros((0, 4)), "structure": np.zeros(2, [("a", "i4"), ("b", "f8")]),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("legacy", [False, True])
def test_fault_52_numpy_values_beside_a_state(name: str, legacy: bool) -> None:
    """They are passed over, and what there is of tensors is read in full."""
    torch.save({"state_dict": STATE, "extra": HARMLESS[name]}, "w.pth", _use_new_zipfile_serialization=not legacy)
    found = tensors_in(Path("w.pth"))
    assert all(torch.equal(found[key], tensor) for key, tensor in STATE.items())
    assert "extra" in api.inspect_weights(Path("w.pth")).beside


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin"])
def test_fault_52_formats_that_are_read(suffix: str) -> None:
    """Both formats of PyTorch and safetensors, by their content."""
    path = Path(f"w{suffix}")
    for write, name in (
        (lambda: torch.save(STATE, path), "PyTorch"),
        (lambda: torch.save(STATE, path, _use_new_zipfile_serialization=False), "PyTorch, as before 1.6"),
        (lambda: save_file(STATE, path), "safetensors"),
    ):
        write()
        assert api.inspect_weights(path).format == name
        found = tensors_in(path)
        assert found.keys() == STATE.keys()
        assert all(torch.equal(found[key], tensor) for key, tensor in STATE.items())


PUBLISHED = {
    "DnCNN-S-25.pth": "dncnn[depth=17,colour=false]", "DnCNN-S-50.pth": "dncnn[depth=17,colour=false]",
    "kair-dncnn_25.pth": "dncnn[depth=17,colour=false]", "FFDNet_gray.mat": "", "FFDNet_color.mat": "",
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_fault_52_published_files(name: str) -> None:
    """What authors have put on the network is read and recognised, or named for what it is."""
    folders = [folder / "weights" / "published" for folder in paths.data_folders()]
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        pytest.skip(f"{name} is not at hand under MDNBENCH_DATA_PATH")
    if PUBLISHED[name]:
        (state,) = api.inspect_weights(path).states
        assert state.fits == (PUBLISHED[name],)
        made = api.import_weights("dncnn", path, "published")
        assert made.card.options == {"depth": 17, "colour": False}
    else:
        assert "it is a MATLAB 7.3 file" in refusal(path)


def test_fault_52_the_command_line_says_it_in_one_line(cli: Callable[..., Any], workspace: Path) -> None:
    """`weights import` and `weights inspect` end with 2 and the same line, and nothing is taken in."""
    Path("w.pth").write_text(HTML)
    for command in (("inspect", "w.pth"), ("import", "dncnn", "w.pth", "--name", "page")):
        done = cli("weights", *command, cwd=workspace)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert "it is a web page. To do: the file host sent a page" in line
    assert not list((workspace / "home").rglob("*page*"))

"""What a file is by its first bytes, and what a ZIP archive is by its members."""

from __future__ import annotations

import struct

import pytest

from mdnbench.weights import formats
from mdnbench.weights.formats import Format, OtherFile


def of(head: bytes, suffix: str = ".pth") -> Format | str:
    """The format, or what else it is."""
    found = formats.of(head, len(head), suffix)
    return found.what if isinstance(found, OtherFile) else found


def test_formats_that_are_read() -> None:
    """By content, whatever the suffix; a damaged file of the suffix .safetensors is one of those."""
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    safetensors = struct.pack("<Q", len(header)) + header + bytes(4)
    for suffix in (".pth", ".safetensors", ".onnx"):
        assert of(safetensors, suffix) is Format.SAFETENSORS
        assert of(b"PK\x03\x04" + bytes(30), suffix) is Format.ARCHIVE
        assert of(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", suffix) is Format.LEGACY
        assert of(b"\x80\x04\x95\x00", suffix) is Format.PICKLE
    assert of(b"\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x02", ".safetensors") is Format.SAFETENSORS


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "empty"),
        (b"<HTML>", "web page"),
        (b"\r\n <!doctype HTML>", "web page"),
        (b"<Error><Code>AccessDenied</Code></Error>", "XML"),
        (b'[{"a": 1}]', "JSON"),
        (b"<", "XML"),
        (b"Quota exceeded", "text, beginning with 'Quota exceeded'"),
        ("Zugriff verweigert: ü".encode()[:-1], "text"),
        (b"\xff\xfeh\x00", "UTF-16"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer, a text that stands"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"\x08\x08\x12\x07pytorch", "ONNX"),
        (b"\x00" * 257 + b"ustar\x0000", "tar archive"),
        (b"\x00" * 512 + b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x00\x01\x02\x03", "in no format that is known here (it begins with the bytes 00 01 02 03)"),
    ],
)
def test_what_else_it_is(head: bytes, words: str) -> None:
    """Each has words of its own."""
    assert words in str(of(head))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a/data.pkl", "a/code/__torch__.py", "a/constants.pkl"], "TorchScript"),
        (["a/.data/extern_modules", "a/data.pkl"], "torch.package"),
        (["a/archive_format", "a/models/model.json"], "torch.export"),
        (["config.json", "model.weights.h5"], "Keras"),
        (["x.npy", "y.npy"], "NumPy archive"),
        ([], "torch.save did not write"),
        (["net.pth"], "torch.save did not write"),
    ],
)
def test_archives(names: list[str], words: str) -> None:
    """By their members."""
    found = formats.of_archive(names)
    assert isinstance(found, OtherFile)
    assert words in found.what


def test_archives_of_torch() -> None:
    """Whatever the folder in it is called."""
    assert formats.of_archive(["net/data.pkl", "net/data/0", "net/version"]) is Format.ARCHIVE
    assert formats.of_archive(["data.pkl"]) is Format.ARCHIVE

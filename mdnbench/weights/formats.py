"""The recognition of files by their first bytes: readable weights files, and others that users give by mistake."""

from __future__ import annotations

import io
import re
import struct
from enum import Enum
from typing import NamedTuple

from mdnbench.spec.names import printable
from mdnbench.util import limits


class Format(Enum):
    """A format that tensors can be read from. The value is its name in messages."""

    SAFETENSORS = "safetensors"
    ARCHIVE = "PyTorch"
    LEGACY = "PyTorch, as before 1.6"
    PICKLE = "Python pickle"


class OtherFile(NamedTuple):
    """A file that is not a weights file: what it is, and what to do. Both parts complete a sentence about the file."""

    what: str
    advice: str


_AGAIN = "download it again, in a browser if need be, and compare its size with the one that its page states"
_UNPACK = "unpack it, and give the weights file that is inside"
_MATLAB = "mdnbench reads no MATLAB files: look for the PyTorch version of these weights, or convert them"

# The first bytes of files that users give by mistake.
_SIGNATURES: tuple[tuple[bytes, OtherFile], ...] = (
    (b"MATLAB 5.0 MAT-file", OtherFile("a MATLAB 5 file", _MATLAB)),
    (b"MATLAB 7.3 MAT-file", OtherFile("a MATLAB 7.3 file (HDF5 inside)", _MATLAB)),
    (b"\x89HDF\r\n\x1a\n", OtherFile("an HDF5 file, as Keras writes", "look for the PyTorch version of these weights")),
    (b"\x93NUMPY", OtherFile("a NumPy array (.npy)", "a state has names: save a table of tensors with torch.save")),
    (b"\x1f\x8b", OtherFile("compressed with gzip", _UNPACK)),
    (b"BZh", OtherFile("compressed with bzip2", _UNPACK)),
    (b"\xfd7zXZ\x00", OtherFile("compressed with xz", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", OtherFile("compressed with Zstandard", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", OtherFile("a 7-Zip archive", _UNPACK)),
    (b"Rar!\x1a\x07", OtherFile("a RAR archive", _UNPACK)),
    (b"GGUF", OtherFile("a GGUF file", "look for the PyTorch version of these weights")),
    (b"%PDF-", OtherFile("a PDF document", _AGAIN)),
    (b"\x89PNG\r\n\x1a\n", OtherFile("a PNG image", "give the file of the weights")),
    (b"\xff\xd8\xff", OtherFile("a JPEG image", "give the file of the weights")),
    (b"\x7fELF", OtherFile("a program", "give the file of the weights")),
    (b"MZ", OtherFile("a Windows program", "give the file of the weights")),
    (b"SQLite format 3\x00", OtherFile("an SQLite database", "give the file of the weights")),
)
_ONNX = OtherFile("an ONNX file", "it holds a whole network: use wrap_onnx in place of wrap_torch or `weights import`")
_TAR = OtherFile("a tar archive", _UNPACK)
_OLD_TAR = OtherFile(
    "a PyTorch file of 2016 or 2017, in tar form",
    "no PyTorch of today reads these without running them; look for a newer copy",
)
_TORCHSCRIPT = OtherFile(
    "a TorchScript archive",
    "it holds code, and none is run here; where you trust it: torch.save(torch.jit.load(FILE).state_dict(), NEW)",
)
_EXPORTED = OtherFile(
    "a program of torch.export (.pt2)",
    "it holds code, and none is run here; where you trust it: torch.save(torch.export.load(FILE).state_dict, NEW)",
)
_PACKAGE = OtherFile(
    "a torch.package archive", "it holds code, and none is run here; ask its authors for the state alone"
)
_NPZ = OtherFile(
    "a NumPy archive (.npz)",
    "make tensors of its arrays: torch.save({k: torch.from_numpy(v) for k, v in numpy.load(FILE).items()}, NEW)",
)
_KERAS = OtherFile("a Keras archive", "look for the PyTorch version of these weights")
_ZIP = OtherFile("a ZIP archive that torch.save did not write", _UNPACK)
_PAGE = OtherFile(
    "a web page", f"the file host sent a page (a log-in, a warning, a quota) in place of the file: {_AGAIN}"
)
_EMPTY = OtherFile("empty: it has 0 bytes", _AGAIN)
_UTF16 = OtherFile("text in UTF-16", _AGAIN)


def of(head: bytes, size: int, suffix: str) -> Format | OtherFile:
    """Return the format of a file, judged by its first bytes.

    Any ZIP archive counts as PyTorch's here; `of_archive` then examines its members.

    Args:
        head: The first bytes.
        size: The size of the file in bytes.
        suffix: The suffix of its name, such as `.pth`.
    """
    if not size:
        return _EMPTY
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Format.ARCHIVE
    if _is_safetensors(head, size):
        return Format.SAFETENSORS
    for signature, other in _SIGNATURES:
        if head.startswith(signature):
            return other
    if head[512:520] == b"\x89HDF\r\n\x1a\n":  # HDF5 allows a block of 512 bytes before its own
        return OtherFile("an HDF5 file", "look for the PyTorch version of these weights")
    if head[257:262] == b"ustar" or head.startswith(b"sys_info\x00"):
        return _OLD_TAR if head.startswith((b"sys_info", b"storages", b"tensors", b"pickle\x00")) else _TAR
    return _of_bytes(head, suffix)


def of_archive(names: list[str]) -> Format | OtherFile:
    """Return the format of a ZIP archive with these members."""
    last = {name.rpartition("/")[2] for name in names}
    if any("/code/" in f"/{name}" for name in names) or "constants.pkl" in last:
        return _TORCHSCRIPT
    if "extern_modules" in last:
        return _PACKAGE
    if last & {"archive_format", "serialized_exported_program.json"} or any("/models/" in f"/{x}" for x in names):
        return _EXPORTED
    if "data.pkl" in last:
        return Format.ARCHIVE
    if "model.weights.h5" in last:
        return _KERAS
    if names and all(name.endswith(".npy") for name in names):
        return _NPZ
    return _ZIP


def _is_safetensors(head: bytes, size: int) -> bool:
    """Return whether a file begins with a plausible header length and a JSON header."""
    if head[8:9] != b"{":
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return bool(length <= max(size, limits.MAX_SAFETENSORS_HEADER_BYTES))


def _of_bytes(head: bytes, suffix: str) -> Format | OtherFile:
    """Return the format of a file without a signature: a pickle, an ONNX file, some text, or unknown."""
    if head[:1] == b"\x80" and len(head) > 1 and head[1] <= 5:
        legacy = head[2:].startswith(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")  # torch's magic number
        return Format.LEGACY if legacy else Format.PICKLE
    if suffix == ".onnx" or re.match(rb"\x08[\x01-\x20][\x12\x1a\x22\x28\x32\x3a\x42]", head):
        return _ONNX
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _UTF16
    text = _text(head)
    if text:
        return _of_text(text)
    if suffix == ".safetensors" and len(head) >= 8:
        return Format.SAFETENSORS  # a damaged one
    return OtherFile(f"in no format that is known here (it begins with the bytes {head[:8].hex(' ')})", _AGAIN)


def _of_text(text: str) -> OtherFile:
    """Return what a text is that a user gave instead of weights."""
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("version https://git-lfs"):
        size = re.search(r"^size (\d{1,20})$", text, re.MULTILINE)
        stands = f" for {int(size[1])} bytes" if size else ""
        return OtherFile(f"a Git LFS pointer, a text that stands{stands}", "get the file itself: `git lfs pull`")
    if "/annex/objects/" in start[:200]:
        return OtherFile("a git-annex pointer, a text that stands for the file", "get the file itself: `git annex get`")
    if re.match(r"<(!doctype html|html|head|body|script|meta|title)\b", start, re.IGNORECASE):
        return _PAGE
    if start.startswith("<"):
        return OtherFile("XML, as file hosts answer when they refuse", _AGAIN)
    kind = "JSON" if re.match(r'[\[{]\s*["\[{}\]\d]', start) else "text"
    return OtherFile(f"{kind}, beginning with {_quoted(start)}", _AGAIN)


def _quoted(text: str) -> str:
    line = io.StringIO(text).readline().strip()
    return repr(printable(line[:60]))


def _text(head: bytes) -> str:
    """Return the first bytes as text, or '' if they are not text. The last character may be cut."""
    text = head.decode("utf-8", "replace").rstrip("\ufffd")
    odd = [sign for sign in text if not (sign.isprintable() or sign in "\t\r\n\f\ufeff")]
    return "" if odd or "\ufffd" in text else text

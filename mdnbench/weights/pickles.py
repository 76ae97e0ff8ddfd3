"""What a pickle asks for, read from its instructions. Nothing of it is run: no name is looked up, nothing is made."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from mdnbench.util import limits

ENCODE = "_codecs.encode"  # how Python 3 writes bytes in pickles that Python 2 could read

# What weights are made of. torch's own list is longer: this one has nothing that makes an array of a number alone,
# and no nested tensors, whose sizes torch takes from memory that it has not read yet.
_DATA = frozenset(
    (
        ENCODE, "collections.OrderedDict", "collections.Counter", "builtins.set", "builtins.complex", "builtins.long",
        "torch.Size", "torch.device", "torch.nn.parameter.Parameter", "torch.storage.UntypedStorage",
        "torch.storage.TypedStorage", "torch.serialization._get_layout", "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state", "torch._utils._rebuild_qtensor",
        "torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_meta_tensor_no_storage",
    )
)  # fmt: skip
_DTYPES = re.compile(
    r"torch\.((cuda\.)?\w+Storage|(b?float|u?int|bits|complex|quint|qint)\w+|bool|(float|int|long|half|double)"
    r"|per_(tensor|channel)_\w+)"
)
# Read as placeholders, whatever they hold: a file may keep its best score as a NumPy number.
NUMPY_CALLS = (
    "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    "builtins.bytes",  # the content of an array without values
)  # fmt: skip
NUMPY_TYPES = tuple(
    f"numpy.{kind}"
    for kind in (
        "float16", "float32", "float64", "longdouble", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
        "uint64", "bool_", "bool", "str_", "bytes_", "complex64", "complex128", "datetime64", "timedelta64",
    )
)  # fmt: skip
_STORES = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_RECALLS = ("GET", "BINGET", "LONG_BINGET")


class BadPickle(Exception):
    """A pickle that ends too early, has instructions that are none, or is too long."""


class Step(NamedTuple):
    """One instruction: its name, and the text or the dotted name that it leaves, '' where it leaves none."""

    instruction: str
    text: str = ""
    name: str = ""


def foreign(file: IO[bytes]) -> list[str]:
    """The names that one pickle asks for and that are no part of weights, sorted; the file is left behind its end.

    BadPickle where the pickle is damaged or has more than MAX_PICKLE_STEPS instructions.
    """
    found, encoding = set(), 0
    for step in _steps(file):
        if encoding and not _encodes(step, encoding):
            found.add(ENCODE)
        encoding = (encoding + 1) % 5 if encoding else int(step.name == ENCODE)
        if step.name and not is_data(step.name):
            found.add(step.name)
    return sorted(found)


def is_data(name: str) -> bool:
    """Whether a dotted name stands for tensors, numbers or plain containers."""
    return name in _DATA or name in NUMPY_CALLS or name in NUMPY_TYPES or bool(_DTYPES.fullmatch(name))


def _encodes(step: Step, place: int) -> bool:
    """Whether a step is the one at this place after `_codecs.encode`: a text of its own, 'latin1', a pair, the call.

    Anything else could make a file of a few bytes as large as it likes, one encoding upon the other.
    """
    if place == 1:
        return step.instruction in ("BINUNICODE", "UNICODE", "SHORT_BINUNICODE")
    if place == 2:
        return step.text == "latin1"
    return step.instruction == ("TUPLE2" if place == 3 else "REDUCE")


def _steps(file: IO[bytes]) -> Iterator[Step]:
    """The instructions of one pickle, up to its STOP, without those that only remember."""
    remembered: dict[object, Step] = {}  # texts and names alone
    stored = 0
    texts = ["", ""]  # the latest two, which STACK_GLOBAL makes a name of
    last = Step("")
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(file)):
            if count > limits.MAX_PICKLE_STEPS:
                raise BadPickle(f"it has more than {limits.MAX_PICKLE_STEPS} instructions")
            if instruction.name in _STORES:
                if last.text or last.name:
                    remembered[stored if argument is None else argument] = last
                stored += 1
                continue
            last = _step(instruction.name, argument, remembered, texts)
            if last.text:
                texts = [texts[1], last.text]
            yield last
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError, UnicodeError) as error:
        raise BadPickle(str(error)) from None


def _step(instruction: str, argument: object, remembered: dict[object, Step], texts: list[str]) -> Step:
    if instruction in _RECALLS:
        return remembered.get(argument, Step(""))._replace(instruction=instruction)
    if instruction in ("GLOBAL", "INST"):
        return Step(instruction, name=_dotted(*str(argument).split(" ", 1)))
    if instruction == "STACK_GLOBAL":
        return Step(instruction, name=_dotted(*texts))
    return Step(instruction, text=argument if isinstance(argument, str) else "")


def _dotted(module: str, name: str = "") -> str:
    """The name as Python 3 has it."""
    return f"{'builtins' if module == '__builtin__' else module}.{name}"

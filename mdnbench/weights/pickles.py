"""The names that a pickle refers to, read from its instructions. Nothing is run, looked up or created."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from mdnbench.util import limits

ENCODE = "_codecs.encode"  # Python 3 writes bytes with it into pickles for Python 2

# The parts of weights. torch's own list is longer. This one omits functions that make an array from a number alone,
# and nested tensors, whose sizes torch takes from memory that it has not read yet.
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
# Replaced by placeholders without their content; for example, a file may contain its best score as a NumPy number.
NUMPY_CALLS = (
    "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    "builtins.bytes",  # the content of an empty array
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
    """A pickle that is incomplete, has unknown instructions, or is too long."""


class Step(NamedTuple):
    """One instruction of a pickle.

    Attributes:
        instruction: The name of the instruction.
        text: The text that it puts on the stack, or ''.
        name: The dotted name that it refers to, or ''.
    """

    instruction: str
    text: str = ""
    name: str = ""


def foreign(file: IO[bytes]) -> list[str]:
    """Return the names in one pickle that do not belong to weights, sorted, and move the file behind the pickle.

    Raises:
        BadPickle: The pickle is damaged, or has more than MAX_PICKLE_STEPS instructions.
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
    """Return whether a dotted name refers to tensors, numbers or plain containers."""
    return name in _DATA or name in NUMPY_CALLS or name in NUMPY_TYPES or bool(_DTYPES.fullmatch(name))


def _encodes(step: Step, place: int) -> bool:
    """Return whether a step is the expected one at this place after `_codecs.encode`.

    The expected steps are a text, 'latin1', a pair and the call. Any other sequence could nest encodings, and make a
    huge result from a file of a few bytes.
    """
    if place == 1:
        return step.instruction in ("BINUNICODE", "UNICODE", "SHORT_BINUNICODE")
    if place == 2:
        return step.text == "latin1"
    return step.instruction == ("TUPLE2" if place == 3 else "REDUCE")


def _steps(file: IO[bytes]) -> Iterator[Step]:
    """Yield the instructions of one pickle up to its STOP, without those that only store values."""
    remembered: dict[object, Step] = {}  # only texts and names
    stored = 0
    texts = ["", ""]  # the last two, which STACK_GLOBAL joins to a name
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
    """Return a name as Python 3 writes it."""
    return f"{'builtins' if module == '__builtin__' else module}.{name}"

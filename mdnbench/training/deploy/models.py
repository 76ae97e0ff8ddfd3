"""The ONNX files of learned methods under MDNBENCH_HOME. Each is made once, atomically, and checked when it is used."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from mdnbench.errors import Unavailable
from mdnbench.planning import environment
from mdnbench.registry import variants
from mdnbench.registry.code import Digests
from mdnbench.training.deploy import export, quantise
from mdnbench.util import atomic, digests, paths
from mdnbench.util.limits import PLUGIN_LONG_CALL_S
from mdnbench.util.time_limit import time_limit

if TYPE_CHECKING:
    from mdnbench.registry import Registry
    from mdnbench.spec.specs import DenoiserSpec
    from mdnbench.weights import Weights

PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime")


def path_of(spec: DenoiserSpec, weights: Weights, precision: str) -> Path:
    """Return the path of the ONNX file of a method with these weights.

    The name depends on the method's revision, its plugin's code and the packages' versions, because other code may
    define another network.

    Args:
        spec: The learned method.
        weights: The weights.
        precision: 'fp32' or 'int8'.
    """
    versions = [*environment.versions(PACKAGES).values()]
    key = digests.of_parts("model", variants.REVISION, spec.revision, _code(spec), weights.sha256, precision, versions)
    return paths.home() / "deploy" / f"{weights.card.method}-{precision}-{key[:12]}.onnx"


def at_hand(spec: DenoiserSpec, weights: Weights, precision: str) -> bool:
    """Return whether the file exists unchanged. A file that was altered is made again."""
    path = path_of(spec, weights, precision)
    try:
        return digests.of_file(path) == _digest_file(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False


def obtain(known: Registry, spec: DenoiserSpec, weights: Weights, precision: str) -> Path:
    """Return the path of the ONNX file, after making the file if necessary.

    If several processes need the file, one makes it and the others wait.

    Args:
        known: The registry.
        spec: The learned method.
        weights: The weights.
        precision: 'fp32' or 'int8'.

    Raises:
        Unavailable: A package, the training data for int8 or disk space is missing.
        MdnbenchError: The file cannot be made.
    """
    path = path_of(spec, weights, precision)
    if at_hand(spec, weights, precision):
        return path
    whole = obtain(known, spec, weights, "fp32") if precision == "int8" else None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not at_hand(spec, weights, precision):
                _make(known, spec, weights, whole, path)
    except OSError as error:
        raise Unavailable(
            f"the ONNX file of {spec.name} cannot be stored in {path.parent} ({error.strerror or error}): make room, "
            "or point MDNBENCH_HOME at a folder that can be written."
        ) from error
    return path


def _make(known: Registry, spec: DenoiserSpec, weights: Weights, whole: Path | None, path: Path) -> None:
    doing = f"the network of {spec.name!r} is written as an ONNX file"
    with time_limit(doing, PLUGIN_LONG_CALL_S), atomic.replacing(path) as part:
        if whole is None:
            export.write(spec, weights, part)
        else:
            quantise.write(known, weights, whole, part)
        digest = digests.of_file(part)
        _digest_file(path).unlink(missing_ok=True)  # a digest must never be next to another file
    with atomic.replacing(_digest_file(path)) as part:
        part.write_text(f"{digest}\n", encoding="ascii")


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _code(spec: DenoiserSpec) -> str:
    """Return a digest of the Python files in the folder of a method's network."""
    assert spec.trainable is not None
    network = inspect.unwrap(spec.trainable.network)
    try:
        folder = Path(inspect.getfile(network)).parent
    except TypeError:  # a built-in function, or a callable object
        return ""
    found = Digests()
    return digests.of_parts([[path.name, found.of(path)[1]] for path in sorted(folder.glob("*.py"))])

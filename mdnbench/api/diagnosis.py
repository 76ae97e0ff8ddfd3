"""Check the installation: versions, machine, plugins, data, weights and the store, with advice for each problem."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psutil
import torch
from filelock import FileLock, Timeout

from mdnbench import __version__, data, weights
from mdnbench.errors import MdnbenchError, TookTooLong
from mdnbench.planning import environment
from mdnbench.registry import Registry, torchvision_fix
from mdnbench.spec import names
from mdnbench.spec.specs import DenoiserSpec
from mdnbench.store import open_store, row_checks
from mdnbench.training.deploy import building
from mdnbench.util import devices, paths
from mdnbench.util.limits import IMPORT_TEST_S, LITTLE_DISK_BYTES, LITTLE_MEMORY_BYTES, NETWORK_TEST_S
from mdnbench.util.untrusted import cut
from mdnbench.wrappers import openvino_session
from mdnbench.wrappers.onnx_session import INSTALL

DiagnosisState = Literal["well", "note", "problem"]

GIB = 2**30
DEPLOYING = ("onnx", "onnxruntime", "onnxscript", "torch-pruning")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check.

    Attributes:
        topic: What was checked.
        state: 'well', 'note' for something that prevents nothing, or 'problem'.
        text: What was found, and how to solve a problem.
    """

    topic: str
    state: DiagnosisState
    text: str


@dataclass(frozen=True, slots=True)
class Examination:
    """The results of all checks; `well` is true if none is a problem."""

    well: bool
    findings: tuple[Diagnosis, ...]


def examine(known: Registry, workspace: Path) -> tuple[Diagnosis, ...]:
    """Check machine, versions, folders, network, plugins, data, weights, deployment, trainings and the store.

    Args:
        known: The registry.
        workspace: The folder of the workspace.

    Returns:
        The results in the order of the checks.
    """
    return (
        *_machine(),
        *_folders(workspace),
        network(url for spec in known.datasets.values() for file in spec.files for url in file.urls),
        *_plugins(known),
        *_data(known),
        *_weights(known),
        *_deployment(),
        *_trainings(),
        *_store(workspace / "results.sqlite"),
    )


# -- the machine ---------------------------------------------------------------------------------------------------


def _machine() -> Iterator[Diagnosis]:
    installed = environment.versions(environment.PACKAGES)
    missing = [name for name, version in installed.items() if version == "missing"]
    versions = ", ".join(f"{name} {version}" for name, version in installed.items() if name not in missing)
    yield Diagnosis("versions", "well", f"mdnbench {__version__}, Python {platform.python_version()}, {versions}")
    for name in missing:
        yield Diagnosis("versions", "note", f"{name} is not installed; what needs it is left out.")
    if "torchvision" not in missing:
        yield from _torchvision(installed["torchvision"], installed["torch"])
    yield Diagnosis("cores", "well", f"{environment.cores()} of {environment.cpu()}; a cell has one thread to itself")
    yield _gpu()
    memory = psutil.virtual_memory()
    text = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB are free"
    if memory.available < LITTLE_MEMORY_BYTES:
        yield Diagnosis("memory", "note", f"{text}: end other programs, or run with --jobs 1.")
    else:
        yield Diagnosis("memory", "well", text)


def _torchvision(version: str, torch_version: str) -> Iterator[Diagnosis]:
    """Yield a note if the compiled operators of torchvision do not fit torch.

    A separate process imports torchvision, because mdnbench's own fix would hide the problem in this one.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import torchvision"], capture_output=True, encoding="utf-8", errors="replace",
            timeout=IMPORT_TEST_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        yield Diagnosis("torchvision", "note", f"it cannot be imported within {IMPORT_TEST_S:g} s.")
        return
    if done.returncode == 0:
        yield Diagnosis("torchvision", "well", f"{version} fits torch {torch_version}")
        return
    said = (done.stderr.strip().splitlines() or ["no message"])[-1]
    if torchvision_fix.STUMBLES in said:
        text = (
            f"the compiled operators of torchvision {version} do not fit torch {torch_version}. mdnbench imports it "
            "without them, which is enough for all but detection; for all of it, install the torchvision that was "
            "built for this torch."
        )
        yield Diagnosis("torchvision", "note", text)
    else:
        yield Diagnosis("torchvision", "problem", f"it cannot be imported: {said}. Install it again, or remove it.")


def _gpu() -> Diagnosis:
    try:
        device = devices.choose("auto")
    except (ImportError, OSError) as error:
        return Diagnosis("GPU", "problem", f"torch cannot be imported: {error}. Install it again.")
    if device == "cpu":
        hidden = Path("/dev/nvidiactl").exists()
        return Diagnosis("GPU", "note" if hidden else "well", f"none{' that torch can use' if hidden else ''}")

    return Diagnosis("GPU", "well", ", ".join(map(torch.cuda.get_device_name, range(torch.cuda.device_count()))))


def _folders(workspace: Path) -> Iterator[Diagnosis]:
    for topic, folder in (("workspace", workspace), ("home", paths.home())):
        place = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
        if not _writable(place):
            yield Diagnosis(topic, "problem", f"{place} cannot be written; set MDNBENCH_HOME to a folder that can.")
            continue
        free = shutil.disk_usage(place).free
        text = f"{folder}, {free / GIB:.1f} GiB free"
        little = free < LITTLE_DISK_BYTES
        yield Diagnosis(topic, "problem" if little else "well", f"{text}: make room." if little else text)
    for folder in paths.data_folders():
        if not folder.is_dir():
            yield Diagnosis("data path", "problem", f"MDNBENCH_DATA_PATH names {folder}, which is no folder.")


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def network(urls: Iterable[str]) -> Diagnosis:
    """Check whether the first host of these addresses accepts a connection within three seconds.

    Nothing is tried if MDNBENCH_OFFLINE is set.
    """
    if paths.offline():
        return Diagnosis("network", "note", "not tried: MDNBENCH_OFFLINE is set")
    first = next((url for url in map(urlsplit, urls) if url.hostname), None)
    if first is None:
        return Diagnosis("network", "note", "not tried: no data set names an address")
    port = first.port or (80 if first.scheme == "http" else 443)
    try:
        socket.create_connection((str(first.hostname), port), timeout=NETWORK_TEST_S).close()
    except OSError as error:
        text = f"{first.hostname} does not answer ({error}); missing files cannot be downloaded."
        return Diagnosis("network", "note", text)
    return Diagnosis("network", "well", f"{first.hostname} answers")


# -- plugins, data, weights and the store ----------------------------------------------------------------------------


def _plugins(known: Registry) -> Iterator[Diagnosis]:
    spec_tables = (known.denoisers, known.noises, known.datasets, known.metrics, known.reporters)
    yield Diagnosis("plugins", "well", ", ".join(f"{len(shelf)} {shelf.kind}s" for shelf in spec_tables))
    for each in known.broken:
        yield Diagnosis("plugins", "problem", f"{each.source.address} is broken: {each.reason}")
    for each in known.patching:
        yield Diagnosis("plugins", "note", f"{each.source.address}: {each.reason}")


def _data(known: Registry) -> Iterator[Diagnosis]:
    for name, spec in known.datasets.items():
        if data.at_hand(spec):
            yield Diagnosis("data", "well", f"{name}: available, {names.counted(len(spec.images), 'image')}")
        else:
            yield Diagnosis("data", "note", f"{name}: not available; `mdnbench data fetch {name}` downloads it")
    for name, metric in known.metrics.items():
        try:
            reason = metric.prepare(False) if metric.prepare and not metric.by_name else None
        except TookTooLong as error:
            yield Diagnosis("data", "problem", f"metric {name}: {error}")
            continue
        except MdnbenchError as error:
            reason = str(error)
        if reason:
            yield Diagnosis("data", "note", f"metric {name}: {cut(reason)}")


def _weights(known: Registry) -> Iterator[Diagnosis]:
    for spec in known.denoisers.values():
        if spec.trainable:
            yield from _weights_of(spec)


def _weights_of(spec: DenoiserSpec) -> Iterator[Diagnosis]:
    assert spec.trainable is not None
    try:
        found = [*weights.shipped(spec.trainable), *weights.trained(spec.name)]
        for each in found:
            weights.load_state(each)
    except MdnbenchError as error:
        yield Diagnosis("weights", "problem", f"{spec.name}: {error}")
        return
    if found:
        yield Diagnosis("weights", "well", f"{spec.name}: {', '.join(each.name for each in found)}")
    else:
        yield Diagnosis("weights", "note", f"{spec.name}: none; `run` trains it, or `mdnbench train {spec.name}`")


def _deployment() -> Iterator[Diagnosis]:
    """Check what variants of learned methods need: packages, a compiler, and bfloat16 in the processor."""
    installed = environment.versions(DEPLOYING)
    lacking = [name for name, version in installed.items() if version == "missing"]
    if lacking:
        yield Diagnosis("deployment", "note", f"{', '.join(lacking)} not installed: {INSTALL}")
    else:
        versions = ", ".join(f"{name} {version}" for name, version in installed.items())
        import onnxruntime

        providers = ", ".join(onnxruntime.get_available_providers())
        yield Diagnosis("deployment", "well", f"{versions}; ONNX Runtime's providers: {providers}")
    (version,) = environment.versions(("openvino",)).values()
    if version == "missing":
        yield Diagnosis("deployment", "note", f"openvino not installed: {openvino_session.INSTALL}")
    else:
        yield Diagnosis("deployment", "well", f"openvino {version}")
    found = building.compiler()
    text = f"torch.compile uses {found}" if found else "no C++ compiler: methods with compile=true are skipped"
    yield Diagnosis("deployment", "well" if found else "note", text)
    quick = building.bfloat16_is_quick("cpu")
    text = "bfloat16 by the processor" if quick else "no bfloat16: methods with precision=bf16 are skipped on the CPU"
    yield Diagnosis("deployment", "well" if quick else "note", text)


def _trainings() -> Iterator[Diagnosis]:
    """Check the locks of trainings.

    A lock that an ended training left behind does no harm, because the system releases a lock with its process.
    """
    for path in sorted((paths.home() / "training").glob("*/lock")):
        try:
            with FileLock(path, timeout=0):
                pass
            yield Diagnosis("locks", "well", f"{path}: left by a training that has ended; it does no harm")
        except Timeout:
            yield Diagnosis("locks", "note", f"{path}: a training is going on here")
        except OSError as error:
            yield Diagnosis("locks", "problem", f"{path} cannot be locked: {error.strerror or error}. Remove it.")


def _store(path: Path) -> Iterator[Diagnosis]:
    if not path.is_file():
        yield Diagnosis("store", "well", f"{path}: none yet")
        return
    if not os.access(path, os.R_OK):
        yield Diagnosis("store", "problem", f"{path} cannot be read; ask its owner.")
        return
    try:
        with open_store(path) as store:
            runs = [run for run in map(store.run, store.run_names()) if run]
            damage = list(row_checks.damage(store)) or list(row_checks.faults(store))
    except MdnbenchError as error:
        yield Diagnosis("store", "problem", str(error))
        return
    yield Diagnosis(
        "store", "well", f"{path}: {names.counted(len(runs), 'run')}, {path.stat().st_size / 2**20:.1f} MiB"
    )
    for line in damage:
        yield Diagnosis("store", "problem", f"{line} Restore it from a copy.")
    if store.note:
        yield Diagnosis("store", "note", store.note)
    for run in runs:
        if not run.finished:
            yield Diagnosis(
                "store", "note", f"the run {run.name!r} was not finished; the same command goes on with it."
            )

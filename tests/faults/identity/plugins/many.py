# Each method gives an image of one level, which it reads from a file of its own in a way of its own.

import ctypes
import os
import runpy
import sqlite3
import subprocess
import sys
import threading
from importlib import resources, util
from pathlib import Path

import mdnbench

HERE = Path(__file__).parent
calls = []


def beside():
    """Import a module next to the plugin."""
    import beside_level

    return beside_level.LEVEL


def path():
    """Import a module from another folder."""
    sys.path.insert(0, str(HERE.parent / "elsewhere"))
    import path_level

    return path_level.LEVEL


def relative():
    """Import a module of the plugin's own package."""
    from .relative_level import LEVEL

    return LEVEL


def package():
    """Import a module of a package in a package."""
    from parts.deep.level import LEVEL

    return LEVEL


def loader():
    """Load a module from its file."""
    spec = util.spec_from_file_location("loader_level", HERE / "loader_level.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LEVEL


def runpath():
    """Run a file."""
    return runpy.run_path(str(HERE / "runpath_level.py"))["LEVEL"]


def execute():
    """Execute the text of a file."""
    scope = {}
    exec((HERE / "execute_level.py").read_text(), scope)
    return scope["LEVEL"]


def archive():
    """Import a module from a ZIP archive."""
    sys.path.insert(0, str(HERE / "archive.zip"))
    import archive_level

    return archive_level.LEVEL


def resource():
    """Read a file of a package."""
    return float(resources.files("withdata").joinpath("resource.txt").read_text())


def numpy():
    """Load an array."""
    import numpy

    return numpy.load(HERE / "numpy.npy")


def mapped():
    """Map an array into memory."""
    import numpy

    return numpy.load(HERE / "mapped.npy", mmap_mode="r")[0]


def fromfile():
    """Read an array that has no header."""
    import numpy

    return numpy.fromfile(HERE / "fromfile.bin", dtype="float64")[0]


def torch():
    """Load a state."""
    import torch

    return torch.load(HERE / "torch.pt", weights_only=True)["level"]


def tensor():
    """Map a tensor into memory."""
    import torch

    return torch.from_file(str(HERE / "tensor.bin"), size=1)[0]


def opened():
    """Open a file."""
    with open(HERE / "opened.txt") as file:  # noqa: PTH123 (this way is tested)
        return file.read()


def os_open():
    """Open a descriptor."""
    descriptor = os.open(HERE / "os_open.txt", os.O_RDONLY)
    return os.read(descriptor, 100)


def cv():
    """Read a picture in C++."""
    import cv2

    return round(cv2.imread(str(HERE / "cv.png"))[0, 0, 0] / 255 * 4) / 4


def database():
    """Ask a database."""
    with sqlite3.connect(HERE / "database.sqlite") as connection:
        return connection.execute("select level from levels").fetchone()[0]


def linked():
    """Read a file through a link."""
    return (HERE / "linked.txt").read_text()


def changed_folder():
    """Read a file of the working directory."""
    os.chdir(HERE)
    return open("changed_folder.txt").read()  # noqa: PTH123 (this way is tested)


def program():
    """Let a program read a file."""
    return subprocess.run(["cat", HERE / "program.txt"], capture_output=True, check=True).stdout


def forked():
    """Let a copy of this process read a file."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, (HERE / "forked.txt").read_bytes())
        os._exit(0)
    os.wait()
    return os.read(reading, 100)


def thread():
    """Let a thread read a file."""
    found = []
    reading = threading.Thread(target=lambda: found.append((HERE / "thread.txt").read_text()))
    reading.start()
    reading.join()
    return found[0]


def missing():
    """Look for a file that is not there at first."""
    try:
        return (HERE / "missing.txt").read_text()
    except FileNotFoundError:
        return 0.5


def late():
    """Read a file in each call."""
    return (HERE / "late.txt").read_text()


def second():
    """Read a file in the second call."""
    calls.append(1)
    return 0.5 if len(calls) == 1 else (HERE / "second.txt").read_text()


def weights():
    """Load a large array."""
    import numpy

    return numpy.load(HERE / "weights.npy")[0]


def extension():
    """Import a compiled module."""
    sys.path.insert(0, str(HERE))
    import xxlimited

    assert xxlimited.__file__.startswith(str(HERE)), xxlimited.__file__
    return 0.5


def library():
    """Load a library."""
    ctypes.CDLL(str(HERE / "library.so"))
    return 0.5


def spec(name, level, late=False):
    """Make a method that asks for its level when it is built, or in each call."""

    def build(options, device, weights):
        early = None if late else float(level())
        return lambda noisy, noise: noisy * 0 + (float(level()) if late else early)

    return mdnbench.DenoiserSpec(name, "1", name, build)


def network():
    """Import a network's class."""
    from network import Net

    return Net()


IN_BUILD = (
    beside, path, relative, package, loader, runpath, execute, archive, resource, numpy, mapped, fromfile, torch,
    tensor, opened, os_open, cv, database, linked, changed_folder, program, forked, thread, missing, weights,
    extension, library,
)  # fmt: skip
LATER = (late, second)


@mdnbench.hookimpl
def mdnbench_denoisers():
    """All methods above."""
    early = [spec(each.__name__, each) for each in IN_BUILD]
    return [*early, *(spec(each.__name__, each, True) for each in LATER), mdnbench.wrap_torch("network", network)]

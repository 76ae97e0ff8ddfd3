"""A plugin leaves nothing behind that it changes in its process."""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc, and other limits")

Imports = Any
Lab = Any

MESSES = """
    import resource, signal

    def recursion():
        sys.setrecursionlimit(60)
        return sys.getrecursionlimit() == 60

    def deep():
        def again(): return again()
        try:
            again()
        except RecursionError:
            return True

    def limits():
        resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        resource.setrlimit(resource.RLIMIT_STACK, (2**20, 2**20))
        return resource.getrlimit(resource.RLIMIT_NOFILE) == (40, 40)

    def memory():
        resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))
        return resource.getrlimit(resource.RLIMIT_AS) == (2**28, 2**28)

    def file_size():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        return resource.getrlimit(resource.RLIMIT_FSIZE) == (0, 0)

    def signals():
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        return signal.getsignal(signal.SIGTERM) == signal.SIG_IGN

    def alarm():
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 30.0)
        return signal.getitimer(signal.ITIMER_REAL)[0] > 0

    def language():
        import locale
        for name in ("C", "POSIX"):
            locale.setlocale(locale.LC_ALL, name)
        os.environ["LC_ALL"] = "C"
        return locale.setlocale(locale.LC_ALL) == "C"

    def variables():
        os.environ |= {"PATH": "", "LANG": "C", "OMP_NUM_THREADS": "7", "PYTHONHASHSEED": "1", "TMPDIR": "/nowhere"}
        os.environ |= {"MDNBENCH_DATA_PATH": "", "PYTHONPATH": "/nowhere", "PYTHONWARNINGS": "error"}
        return os.environ["TMPDIR"] == "/nowhere"

    def path():
        sys.path[:] = [str(HERE / "shadow")]
        return len(sys.path) == 1

    def modules():
        import types
        sys.modules["scipy"] = sys.modules["PIL"] = types.ModuleType("scipy")
        return True

    def filters():
        import warnings
        warnings.simplefilter("error")
        return warnings.filters[0][0] == "error"

    def numbers():
        import numpy
        numpy.set_printoptions(precision=1)
        numpy.seterr(all="raise")
        return numpy.geterr()["divide"] == "raise"

    def dtype():
        import torch
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.use_deterministic_algorithms(True)
        return torch.get_default_dtype() == torch.float64

    def masks():
        os.umask(0o777)
        return os.umask(0o777) == 0o777

    def folder():
        place = HERE / f"gone-{os.getpid()}"
        place.mkdir(exist_ok=True)
        os.chdir(place)
        place.rmdir()
        try:
            os.getcwd()
        except FileNotFoundError:
            return True

    def slow():
        os.nice(10)
        return os.nice(0) >= 10

    def tracing():
        import gc, threading
        gc.disable()
        sys.setswitchinterval(1.0)
        threading.Thread(target=lambda: __import__("time").sleep(600), daemon=True).start()
        return not gc.isenabled()

    def closing():
        os.closerange(0, 3)
        sys.stdout = sys.stderr = None
        return True

    def affinity():
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        return len(os.sched_getaffinity(0)) == 1

    def decimals():
        import decimal, random
        decimal.getcontext().prec = 2
        random.seed(1)
        return decimal.getcontext().prec == 2

    ALL = (
        recursion, deep, limits, memory, file_size, signals, alarm, language, variables, path, modules, filters,
        numbers, dtype, masks, folder, slow, tracing, closing, affinity, decimals,
    )
"""
MESS_IN_CALLS = """
    def proving(call):
        def prover():
            path = HERE / "proofs" / f"{call.__name__}.json"
            if path.exists():
                return call()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # afterwards there may be no way to open a file
            os.write(descriptor, b"false")
            if call() and call is not file_size:
                os.pwrite(descriptor, b"true ", 0)
            os.close(descriptor)
        return prover

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [spec(each.__name__, proving(each)) for each in ALL]

    def apply(clean, rng, w):
        for each in (recursion, language, variables, path, filters, numbers, dtype, folder, slow, decimals):
            each()
        return clean + w * 0

    @mdnbench.hookimpl
    def mdnbench_noises():
        w = mdnbench.Option("w", float, help="w")
        return [mdnbench.NoiseSpec("mess-noise", "1", "x", apply, lambda w: w, (w,), "y = x")]
"""
MESSY = (
    "recursion", "deep", "limits", "memory", "file_size", "signals", "alarm", "language", "variables", "path",
    "modules", "filters", "numbers", "dtype", "masks", "folder", "slow", "tracing", "closing", "affinity", "decimals",
)  # fmt: skip


def test_fault_38_what_a_plugin_changes_in_its_process(lab: Lab, start: str, pair: Any, digits: Any) -> None:
    """The cells of the next methods are ok, with all their digits, as if it had never run; a noise's too."""
    found = pair(lab, start, MESSES + MESS_IN_CALLS, " ".join(MESSY), noise=["mess-noise:1", "gaussian:25"])
    assert {name for name in MESSY if name != "file_size" and found.proofs().get(name) is not True} == set()
    assert {row[0] for row in digits(found.alone).values()} == {"ok"}
    assert digits(found.together) == digits(found.alone)


HARMFUL = {
    "limits": "resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24)); resource.setrlimit(resource.RLIMIT_CPU, (9, 9))",
    "memory": "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))",
    "file_size": "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))",
    "recursion": "sys.setrecursionlimit(90)",
    "signals": "[signal.signal(each, signal.SIG_IGN) for each in (signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)]",
    "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD])",
    "alarm": "signal.setitimer(signal.ITIMER_REAL, 2.0)",
    "variables": "os.environ |= {'OMP_NUM_THREADS': '2', 'MKL_CBWR': 'COMPATIBLE', 'ATEN_CPU_CAPABILITY': 'default'}",
    "home": "os.environ |= {'MDNBENCH_HOME': '/proc/nowhere', 'TMPDIR': '/proc/nowhere', 'PATH': ''}",
    "path": "sys.path[:] = [each for each in sys.path if 'zip' in each]",
    "filters": "warnings.simplefilter('error')",
    "numbers": "import numpy; numpy.seterr(all='raise'); numpy.set_printoptions(precision=1)",
    "dtype": "import torch; torch.set_default_dtype(torch.float64); torch.use_deterministic_algorithms(True)",
    "masks": "os.umask(0o777)",
    "folder": "os.mkdir(HERE / 'gone'), os.chdir(HERE / 'gone'), os.rmdir(HERE / 'gone')",
    "affinity": "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})",
    "streams": "sys.stderr = open(os.devnull, 'w'); sys.setprofile(lambda *given: None)",
    "descriptors": "os.closerange(0, 3)",
    "priority": "os.nice(3)",
    "start_method": "import multiprocessing; multiprocessing.set_start_method('spawn', force=True)",
}
HARMLESS = """
    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [spec("harmful", lambda: None)]
"""
CORE = ("limits", "folder")


@pytest.mark.parametrize(
    "name", [name if name in CORE else pytest.param(name, marks=pytest.mark.full) for name in HARMFUL]
)
def test_fault_38_what_a_plugin_changes_while_it_is_imported(imports: Imports, name: str) -> None:
    """The other methods have the same digits; if the plugin spoils its own import, it is refused by name."""
    path = imports.write(f"import_{name}", f"    import resource, signal, warnings\n    {HARMFUL[name]}\n{HARMLESS}")
    done = imports.run("harmful", path)
    if done.returncode == 2 and "is broken" in done.stderr:
        return
    assert done.returncode == 0, done.stderr
    assert imports.changed(done.stdout) == {}

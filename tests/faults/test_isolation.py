"""A method can neither change another one's scores, nor see the clean image, nor leave anything behind."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc, and other limits")

Lab = Any
Patch = pytest.MonkeyPatch

# How processes start: forked from the server, or spawned as on other systems.
STARTS = ("fork", pytest.param("spawn", marks=pytest.mark.full))

# What the others' scores are taken from: a method of ours, one from a file, a metric from a file.
OTHERS = """
    import json, pickle
    import mdnbench

    def build(options, device, weights):
        import torch
        kernel = torch.ones(1, 1, 3, 3) / 9
        def denoise(noisy, noise):
            json.loads(json.dumps(noise.std)), pickle.loads(pickle.dumps(noise.std))
            return torch.nn.functional.conv2d(noisy, kernel, padding=1)
        return denoise

    def score(denoised, clean):
        import numpy
        return float(numpy.sqrt(numpy.mean(numpy.square(denoised - clean))))

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("box", "1", "x", build)]

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec("rmse", "1", "x", "lower", score and (lambda device: score))]
"""
OWN = "noisy median box"
METRICS = ("psnr", "ssim", "rmse")


@pytest.fixture(scope="module", params=STARTS)
def start(request: pytest.FixtureRequest) -> str:
    """How the processes of methods start."""
    return str(request.param)


def digits(ran: Any, methods: str = OWN) -> dict[Any, Any]:
    """All that must be equal to the last digit, of these methods."""
    found = {}
    for key, row in ran.rows.items():
        if row.method in methods.split() and row.noise.startswith("gaussian"):
            values = [(name, score.status, score.value) for name, score in row.scores.items() if name in METRICS]
            found[key] = (row.status, row.reason, row.noisy_digest, row.output_digest, sorted(values))
    return found


@dataclass
class Pair:
    """A run of the others alone, the same run with a plugin that misbehaves, and the folder of its proofs."""

    alone: Any
    together: Any
    folder: Path

    def proofs(self) -> dict[str, Any]:
        """What the plugin found out about itself, by the name of each part."""
        return {path.stem: json.loads(path.read_text()) for path in (self.folder / "proofs").glob("*.json")}


def pair(lab: Lab, start: str, text: str, methods: str, **keys: Any) -> Pair:
    """Run the others alone, and then behind the methods of a plugin."""
    (lab.folder / "proofs").mkdir()
    lab.write("others.py", OTHERS, plugin=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(lab.folder)
        patch.setenv("MDNBENCH_HOME", str(lab.folder / "home"))
        patch.setenv("MDNBENCH_START", start)
        alone = lab.run(OWN, metrics=METRICS, fresh=True, out="alone")
        lab.write("bad.py", TOOLS + text, plugin=True)
        keys = {"metrics": METRICS, **keys}
        together = lab.run(f"{methods} {OWN}", fresh=True, out="together", **keys)
    return Pair(alone, together, lab.folder)


TOOLS = """
    import builtins, json, os, sys
    from pathlib import Path
    import mdnbench

    HERE = Path(__file__).parent

    def prove(name, found):
        path = HERE / "proofs" / f"{name}.json"
        path.exists() or path.write_text(json.dumps(found))  # of the first call: later ones find the patch in force

    def spec(name, call, when="denoise"):
        def build(options, device, weights):
            if when == "build":
                call()
            def denoise(noisy, noise):
                if when == "denoise":
                    call()
                return noisy.clone()
            return denoise
        return mdnbench.DenoiserSpec(name, "1", "x", build)
"""

# ---- 36 ------------------------------------------------------------------------------------------------------------

PATCHES = """
    def mean():
        import numpy
        numpy.mean = lambda *given, **how: 1e-6
        return numpy.mean([4.0]) == 1e-6

    def square():
        import numpy
        numpy.square = lambda x: x * 0 + 7
        return bool(numpy.square(2.0) == 7)

    def conv2d():
        import torch
        torch.nn.functional.conv2d = lambda x, *given, **how: x * 0
        return float(torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 1, 1)).sum()) == 0

    def isfinite():
        import torch
        torch.isfinite = lambda x: torch.ones_like(x, dtype=torch.bool)
        return bool(torch.isfinite(torch.tensor(float("nan"))))

    def similarity():
        import skimage.metrics
        skimage.metrics.structural_similarity = lambda *given, **how: 0.99
        from skimage.metrics import structural_similarity
        return structural_similarity(1, 2) == 0.99

    def filters():
        import scipy.ndimage
        for name in ("gaussian_filter", "uniform_filter", "correlate1d", "median_filter"):
            setattr(scipy.ndimage, name, lambda x, *given, **how: x * 0)
        return float(scipy.ndimage.gaussian_filter(__import__("numpy").ones((4, 4)), 1).sum()) == 0

    KNOWN = []

    def metric():
        from mdnbench_metrics import psnr
        names = KNOWN or [name for name, each in vars(psnr).items() if getattr(each, "__module__", "") == psnr.__name__]
        KNOWN[:] = names
        for name in names:
            setattr(psnr, name, lambda *given, **how: 99.0)
        return bool(names) and all(getattr(psnr, name)(1, 2) == 99.0 for name in names)

    def scoring():
        import mdnbench.evaluation.scoring as scoring
        from mdnbench.records import MetricScore
        scoring.score = lambda *given: (MetricScore("psnr", "ok", 99.0),)
        return scoring.score()[0].value == 99.0

    def checks():
        import mdnbench.evaluation.outputs as outputs
        import mdnbench.evaluation.protocols as protocols
        outputs.check_values = lambda image, noisy: noisy * 0
        protocols.Rule.apply = lambda self, image: image * 0
        return protocols.Rule.apply(None, 3) == 0

    def drawing():
        from mdnbench.evaluation.rng import NumpyRng
        NumpyRng.normal = lambda self, shape: 0
        return NumpyRng.normal(None, 1) == 0

    def pickling():
        import json, pickle
        json.dumps = lambda *given, **how: '"patched"'
        json.loads = lambda *given, **how: "patched"
        pickle.loads = lambda *given, **how: "patched"
        return (json.dumps(1), json.loads("1"), pickle.loads(b"")) == ('"patched"', "patched", "patched")

    def building():
        builtins.round = lambda *given: 0
        return round(1.7) == 0

    def hashing():
        import hashlib
        old = hashlib.sha256
        hashlib.sha256 = lambda *given, **how: old(b"patched")
        return hashlib.sha256(b"1").hexdigest() == old(b"patched").hexdigest()

    ALL = (
        mean, square, conv2d, isfinite, similarity, filters, metric, scoring, checks, drawing, pickling, building,
        hashing,
    )
"""
IN_CALLS = """
    INNER = [each for each in ALL if each not in (pickling, hashing)]  # with these nothing could be proven

    def proving(call, where):
        def prover():
            prove(f"{where}-{call.__name__}", call())
        return prover

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        built = [spec(f"build-{each.__name__}", proving(each, "build"), "build") for each in ALL]
        return [*built, *(spec(f"denoise-{each.__name__}", proving(each, "denoise")) for each in ALL)]

    def score(denoised, clean):
        for each in INNER:
            prove(f"score-{each.__name__}", each())
        return 1.0

    def apply(clean, rng, w):
        for each in INNER:
            prove(f"noise-{each.__name__}", each())
        return clean + w * 0

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec("bad-score", "1", "x", "higher", lambda device: score)]

    @mdnbench.hookimpl
    def mdnbench_noises():
        w = mdnbench.Option("w", float, help="w")
        return [mdnbench.NoiseSpec("bad-noise", "1", "x", apply, lambda w: w, (w,), "y = x")]
"""
PATCHED = (
    "mean", "square", "conv2d", "isfinite", "similarity", "filters", "metric", "scoring", "checks", "drawing",
    "pickling", "building", "hashing",
)  # fmt: skip
CODED = ("hashing", "pickling")


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory, new_lab: Any, start: str) -> Pair:
    """Methods that replace functions, in front of the others."""
    methods = " ".join(f"{where}-{name}" for where in ("build", "denoise") for name in PATCHED)
    return pair(new_lab(tmp_path_factory.mktemp("patched")), start, PATCHES + IN_CALLS, methods)


def test_fault_36_replaced_functions_change_no_other_score(patched: Pair) -> None:
    """Every patch took effect where it was made, and the scores of all other methods are those of a run without."""
    proofs = patched.proofs()
    expected = {f"{where}-{name}" for where in ("build", "denoise") for name in PATCHED}
    assert {name for name in expected if proofs.get(name) not in (True, "patched")} == set()
    assert {row[0] for row in digits(patched.alone).values()} == {"ok"}
    assert digits(patched.together) == digits(patched.alone)


def test_fault_36_functions_that_a_metric_and_a_noise_replace(lab: Lab, start: str) -> None:
    """Other metrics, and all cells under another noise, have the scores of a run without."""
    found = pair(
        lab, start, PATCHES + IN_CALLS, "", noise=["bad-noise:1", "gaussian:25"], metrics=["bad-score", *METRICS]
    )
    expected = {f"{where}-{name}" for where in ("score", "noise") for name in PATCHED if name not in CODED}
    assert {name for name in expected if found.proofs().get(name) is not True} == set()
    assert digits(found.together) == digits(found.alone)
    assert found.together.values("noisy", "bad-score", "gaussian:sigma=25") == [1.0, 1.0]


GARBLES = """
    import struct

    def garble():
        struct.pack = lambda *given: b"patched"  # with which the length of an answer is written

    def shout():
        for name in os.listdir("/proc/self/fd"):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket"):
                os.write(int(name), b"no answer at all")

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [spec("garble", garble), spec("shout", shout)]
"""


def test_fault_36_an_answer_that_cannot_be_read(lab: Lab, start: str) -> None:
    """Is the method's fault, and found out before the time limit; the next methods do as ever."""
    begun = time.monotonic()
    found = pair(lab, start, GARBLES, "garble shout", timeout=15)
    assert {row.status for row in found.together.of("shout")} == {"crashed"}
    assert {row.status for row in found.together.of("garble")} <= {"crashed", "ok"}  # "ok": its answer was not garbled
    assert digits(found.together) == digits(found.alone)
    assert time.monotonic() - begun < 4 * 15


def test_fault_36_what_replaces_functions_has_honest_scores_itself(patched: Pair) -> None:
    """All that a method can change is its own output: its scores are those of `noisy`, which gives the same image."""
    honest = {row.image: row for row in patched.together.of("noisy")}
    wrong = []
    for key, row in patched.together.rows.items():
        if row.method.startswith(("build-", "denoise-")) and row.status == "ok":
            same = honest[row.image]
            if [row.value(name) for name in METRICS] != [same.value(name) for name in METRICS]:
                wrong.append(key)
    assert wrong == []


AT_IMPORT = """
    NAME = {name!r}
    prove(f"import-{{NAME}}-{{os.getpid()}}", bool({call}()))

    def build(options, device, weights):
        return lambda noisy, noise: noisy.clone()

    def score(denoised, clean):
        return 1.0

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec(f"at-{{NAME}}", "1", "x", build)]

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec(f"metric-{{NAME}}", "1", "x", "higher", lambda device: score)]

    @mdnbench.hookimpl
    def mdnbench_noises():
        w = mdnbench.Option("w", float, help="w")
        apply = lambda clean, rng, w: clean
        return [mdnbench.NoiseSpec(f"noise-{{NAME}}", "1", "x", apply, lambda w: w, (w,), "y = x")]
"""
CHANGED_AT_IMPORT = tuple(name for name in PATCHED if name not in CODED)


SHOWN = ("status", "psnr", "ssim", "rmse", "noisy_digest", "output_digest")


@dataclass
class Imports:
    """Runs of the command line with plugins that do something while they are imported, and a run without them."""

    lab: Lab
    cli: Any
    read: Any
    alone: dict[Any, Any]

    def write(self, name: str, text: str) -> Path:
        """Write a plugin."""
        path: Path = self.lab.write(f"{name}.py", TOOLS + text)
        return path

    def run(self, methods: str, *plugins: Path, metrics: str = "psnr,ssim,rmse", noise: str = "gaussian:25") -> Any:
        """Run methods of these plugins in front of the others."""
        more = [f"--plugin={path}" for path in plugins]
        given = self.lab.arguments(f"{methods} {OWN}", "--fresh", "--metrics", metrics, *more, noise=noise)
        folder = self.lab.folder
        return self.cli(*given, cwd=folder, MDNBENCH_HOME=str(folder / "home"), timeout=100)

    def changed(self, printed: str) -> dict[Any, Any]:
        """The cells of the others that are not those of a run without such plugins."""
        found = self.read(printed)
        return {key: found.get(key) for key, cell in self.alone.items() if shown(found[key]) != shown(cell)}


def shown(cell: dict[str, Any]) -> dict[str, Any]:
    """What must be equal to the last digit."""
    return {name: cell[name] for name in SHOWN}


@pytest.fixture(scope="module")
def imports(tmp_path_factory: pytest.TempPathFactory, new_lab: Any, cli: Any, printed_cells: Any) -> Imports:
    """A folder for plugins, and the cells of a run of the others alone."""
    lab = new_lab(tmp_path_factory.mktemp("imports"))
    (lab.folder / "proofs").mkdir()
    lab.write("others.py", OTHERS, plugin=True)
    found = Imports(lab, cli, printed_cells, {})
    done = found.run("")
    assert done.returncode == 0, done.stderr
    found.alone = printed_cells(done.stdout)
    return found


@pytest.mark.parametrize("names", [CHANGED_AT_IMPORT, ("pickling",), ("hashing",)], ids=lambda names: names[0])
def test_fault_36_functions_that_are_replaced_at_import(imports: Imports, names: tuple[str, ...]) -> None:
    """The methods run, each in a process where its patch is in force; all others have the scores of a run without."""
    plugins = [imports.write(f"at_{name}", PATCHES + AT_IMPORT.format(name=name, call=name)) for name in names]
    done = imports.run(" ".join(f"at-{name}" for name in names), *plugins)
    assert done.returncode in ((0,) if names == CHANGED_AT_IMPORT else (0, 4)), done.stderr
    for name in names:
        proofs = list((imports.lab.folder / "proofs").glob(f"import-{name}-*.json"))
        assert {path.read_text() for path in proofs} <= {"true", '"patched"'}
        assert len(proofs) >= 2  # in the trial, and in the method's own process
    assert imports.changed(done.stdout) == {}


@pytest.mark.parametrize("kind", ["metric", "noise"])
def test_fault_36_metrics_and_noises_that_replace_functions_at_import_are_refused(imports: Imports, kind: str) -> None:
    """By name, with what the plugin replaces; nothing is computed."""
    path = imports.write("at_mean", PATCHES + AT_IMPORT.format(name="mean", call="mean"))
    metrics, noise = {"metric": ("psnr,metric-mean", "gaussian:25"), "noise": ("psnr", "noise-mean:1")}[kind]
    done = imports.run("", path, metrics=metrics, noise=noise)
    assert done.returncode == 2, done.stderr
    assert f"{kind} '{kind}-mean'" in done.stderr
    assert "numpy.mean" in done.stderr


# ---- 37 ------------------------------------------------------------------------------------------------------------

# The plugin knows the clean images by the formula that they were made with, and finds them wherever they are. A child
# process makes them, so that the process that is searched does not hold them for that reason.
SEARCH = """
    def clean(number):
        import numpy
        y, x = numpy.mgrid[0:48, 0:48]
        return (((x * (4 + number) + y * 3) % 256) / 255).astype("float32")

    def marks():
        import numpy
        found = []
        for number in (1, 2):
            image = clean(number)
            found += [image[20:24].tobytes(), (image * 255).round().astype("uint8")[20:24].tobytes()]
            found += [image.astype("float64")[20:24].tobytes()]
        return found

    def in_child(look, *given):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.write(writing, json.dumps(look(*given)).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(writing)
        with os.fdopen(reading) as file:
            text = file.read()
        os.waitpid(child, 0)
        return json.loads(text)

    def like(value, wanted):
        import numpy
        try:
            array = numpy.asarray(value, dtype="float32").squeeze()
        except Exception:
            return False
        return any(array.shape == each.shape and numpy.allclose(array, each, atol=1 / 255) for each in wanted)

    def objects(wanted):
        import gc, numpy, torch
        seen, found = set(), 0
        for holder in gc.get_objects():
            for each in [holder, *gc.get_referents(holder)]:
                if id(each) not in seen and isinstance(each, numpy.ndarray | torch.Tensor):
                    seen.add(id(each))
                    found += like(each, wanted)
        return found

    def frames(wanted):
        found = 0
        for frame in sys._current_frames().values():
            while frame:
                found += sum(like(each, wanted) for each in frame.f_locals.values() if hasattr(each, "shape"))
                frame = frame.f_back
        return found

    def memory(pid, wanted):
        found = 0
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as held:
            for line in maps:
                place, rights = line.split()[:2]
                low, high = (int(each, 16) for each in place.split("-"))
                if "w" in rights and high - low < 1 << 30:
                    try:
                        held.seek(low)
                        content = held.read(high - low)
                    except OSError:
                        continue
                    found += sum(content.count(mark) for mark in wanted)
        return found

    def descriptors(pid, wanted):
        found = []
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{name}")
            except OSError:
                continue
            if target.startswith("/") and os.path.isfile(f"/proc/{pid}/fd/{name}"):
                with open(f"/proc/{pid}/fd/{name}", "rb") as file:
                    found += [target for mark in wanted if mark in file.read()]
            if "pics" in target:
                found.append(target)
        return found

    def shared(wanted):
        found = []
        for folder in (Path("/dev/shm"), Path(os.environ.get("TMPDIR", "/nowhere"))):
            for path in folder.rglob("*"):
                try:
                    found += [str(path) for mark in wanted if path.is_file() and mark in path.read_bytes()]
                except OSError:
                    continue
        return found

    def words(pid):
        return [name for name in ("environ", "cmdline") if b"pics" in Path(f"/proc/{pid}/{name}").read_bytes()]

    def look(me, noisy):
        from multiprocessing import shared_memory
        noise = [noisy.numpy()[0, 0, 20:24].tobytes()]
        found = {"noise in memory": memory(me, noise), "memory": memory(me, marks())}
        found |= {"descriptors": descriptors(me, marks()), "shared": shared(marks()), "words": words(me)}
        return found

    CALLS = []

    def searching(noisy, noise):
        import torch
        CALLS.append(1)
        if len(CALLS) > 1:  # by now what the first search has made may be in this memory
            return noisy.clone()
        found = in_child(look, os.getpid(), noisy)
        wanted = [clean(1), clean(2)]
        objects_before, frames_before = objects(wanted) - 2, frames(wanted)
        decoy = {"kept": torch.from_numpy(clean(1))}
        found |= {"objects": objects_before, "frames": frames_before, "decoy": objects(wanted) - 2}
        found["arguments"] = like(noisy, wanted) or any(like(each, wanted) for each in vars(type(noise)).values())
        del decoy
        prove("search", found)
        return noisy.clone()

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("searching", "1", "x", lambda options, device, weights: searching, wants="noise")]
"""


def test_fault_37_the_clean_image_is_nowhere(lab: Lab, start: str) -> None:
    """Not in objects, frames, memory, descriptors, shared memory, temporary files, variables or arguments.

    The search finds the noisy image, and a clean one that the plugin makes itself.
    """
    found = pair(lab, start, SEARCH, "searching")
    assert [row.reason for row in found.together.of("searching")] == ["", ""]
    each = found.proofs()["search"]
    assert each.pop("noise in memory") > 0
    assert each.pop("decoy") > each["objects"]
    assert each == {
            "memory": 0, "descriptors": [], "shared": [], "words": [], "objects": 0, "frames": 0, "arguments": False
        }  # fmt: skip


OPENERS = """
    import ctypes, mmap, shutil, subprocess, threading

    PICS = HERE / "pics"
    FIRST = PICS / "1.png"

    def plain(): open(FIRST, "rb").read(8)
    def low(): os.read(os.open(FIRST, os.O_RDONLY), 8)
    def lines(): FIRST.read_bytes()
    def updating(): open(FIRST, "r+b").read(8)
    def pillow(): __import__("PIL.Image").Image.open(FIRST).load()
    def opencv(): assert __import__("cv2").imread(str(FIRST)) is not None
    def fromfile(): __import__("numpy").fromfile(FIRST, dtype="uint8")
    def torch_file(): __import__("torch").from_file(str(FIRST), size=8, dtype=__import__("torch").uint8).sum()
    def c_library():
        libc = ctypes.CDLL(None)
        assert libc.open(os.fsencode(FIRST), 0) > 0
    def symlink():
        link = HERE / "made-link"
        link.exists() or link.symlink_to(FIRST)
        link.read_bytes()
    def hard_link():
        link = HERE / "hard.png"
        link.exists() or os.link(FIRST, link)
        link.read_bytes()
    def hard_link_c():
        link = HERE / "hard2.png"
        link.exists() or os.link(FIRST, link)
        assert __import__("cv2").imread(str(link)) is not None
    def folder_descriptor():
        folder = os.open(PICS, os.O_RDONLY)
        os.read(os.open("1.png", os.O_RDONLY, dir_fd=folder), 8)
    def relative():
        os.chdir(PICS)
        open("1.png", "rb").read()
    def odd_path(): open(str(PICS / ".." / "pics" / "1.png"), "rb").read()
    def proc_path(): open(f"/proc/self/root{FIRST}", "rb").read()
    def copied(): shutil.copyfile(FIRST, HERE / "copied.png")
    def program(): subprocess.run(["cat", FIRST], capture_output=True, check=True)
    def shell(): os.system(f"cat {FIRST} > /dev/null")
    def grandchild(): subprocess.run(["sh", "-c", f"(cat {FIRST} > /dev/null); true"], check=True)
    def forked():
        if os.fork() == 0:
            open(FIRST, "rb").read()
            os._exit(0)
        os.wait()
    def forked_c():
        if os.fork() == 0:
            __import__("cv2").imread(str(FIRST))
            os._exit(0)
        os.wait()
    def thread():
        reading = threading.Thread(target=lambda: FIRST.read_bytes())
        reading.start()
        reading.join()
    def by_registry():
        from mdnbench.data import folders
        folders.folder_dataset(str(PICS)).load("1")
    def appended():
        open(FIRST, "ab").close()
        FIRST.read_bytes()
    def renamed():
        FIRST.rename(FIRST)
        FIRST.read_bytes()
    def other_image(): (PICS / "2.png").read_bytes()

    OPENERS = (
        plain, low, lines, updating, pillow, opencv, fromfile, torch_file, c_library, symlink, hard_link, hard_link_c,
        folder_descriptor, relative, odd_path, proc_path, copied, program, shell, grandchild, forked, forked_c, thread,
        by_registry, appended, renamed, other_image,
    )

    # Honest ones: weights, a copy of the picture that is no file of the data set, what else is in its folder.
    def weights(): __import__("numpy").load(HERE / "weights.npy")
    def same_name(): (HERE / "elsewhere" / "1.png").read_bytes()
    def notes(): (PICS / "notes.txt").read_text()
    def listing(): assert sorted(os.listdir(PICS)) and FIRST.stat().st_size and FIRST.exists()
    HONEST = (weights, same_name, notes, listing)

    def remembering():
        PICTURES = []
        def build(options, device, weights):
            import PIL.Image, numpy, torch
            kept = [numpy.asarray(PIL.Image.open(PICS / f"{n}.png"), dtype="float32") / 255 for n in (1, 2)]
            def denoise(noisy, noise):
                best = min(kept, key=lambda each: float(abs(noisy[0, 0].numpy() - each).mean()))
                return torch.from_numpy(best.copy())[None, None]
            return denoise
        return mdnbench.DenoiserSpec("remembering", "1", "x", build)

    def proving(call):
        def prover():
            call()
            prove(call.__name__, True)
        return prover

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        called = [spec(f"opens-{each.__name__}", proving(each)) for each in (*OPENERS, *HONEST)]
        built = [spec(f"built-{each.__name__}", proving(each), "build") for each in (plain, opencv, program)]
        return [*called, *built, remembering()]
"""
OPENED = (
    "plain", "low", "lines", "updating", "pillow", "opencv", "fromfile", "torch_file", "c_library", "symlink",
    "hard_link", "hard_link_c", "folder_descriptor", "relative", "odd_path", "proc_path", "copied", "program", "shell",
    "grandchild", "forked", "forked_c", "thread", "by_registry", "appended", "renamed",
    "other_image",
)  # fmt: skip
HONEST = ("weights", "same_name", "notes", "listing")
BUILT = ("plain", "opencv", "program")


@pytest.fixture(scope="module")
def opening(tmp_path_factory: pytest.TempPathFactory, new_lab: Any, start: str) -> Pair:
    """Methods that open files of the data set in all ways, and some that open other files."""
    import numpy as np

    lab = new_lab(tmp_path_factory.mktemp("opening"))
    np.save(lab.folder / "weights.npy", 1.0)
    lab.write("elsewhere/1.png", (lab.folder / "pics" / "1.png").read_bytes().hex())
    lab.write("pics/notes.txt", "nothing")
    methods = [f"opens-{name}" for name in (*OPENED, *HONEST)] + [f"built-{name}" for name in BUILT]
    return pair(lab, start, OPENERS, " ".join([*methods, "remembering"]))


def test_fault_37_opening_a_file_of_the_data_set_is_invalid(opening: Pair) -> None:
    """However it is opened: every cell that did so is invalid, and the file is named."""
    assert {f for f in OPENED if f not in opening.proofs()} == set()
    good = {}
    for name in OPENED:
        file = "2.png" if name == "other_image" else "1.png"
        for row in opening.together.of(f"opens-{name}"):
            named = file in row.reason or "hard" in row.reason
            if row.status != "invalid" or not named:
                good[row.method, row.image] = (row.status, row.reason)
    assert good == {}


def test_fault_37_what_was_opened_in_build_spoils_every_cell(opening: Pair) -> None:
    """A method that keeps the clean images from its build has no cell that counts, whatever it opens later."""
    rows = [row for name in BUILT for row in opening.together.of(f"built-{name}")]
    rows += opening.together.of("remembering")
    assert {(row.method, row.image): row.status for row in rows if row.status != "invalid"} == {}


def test_fault_37_reading_other_files_is_allowed(opening: Pair) -> None:
    """Weights, a picture elsewhere, other files of that folder, and a look at which files there are."""
    rows = [row for name in HONEST for row in opening.together.of(f"opens-{name}")]
    assert {(row.method, row.image): row.reason for row in rows if row.status != "ok"} == {}
    assert digits(opening.together) == digits(opening.alone)


# ---- 38 ------------------------------------------------------------------------------------------------------------

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


def test_fault_38_what_a_plugin_changes_in_its_process(lab: Lab, start: str) -> None:
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
    "start_method": "import multiprocessing; multiprocessing.set_start_method('spawn', force=True)",
}
HARMLESS = """
    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [spec("harmful", lambda: None)]
"""
CORE = ("limits", "recursion", "signals", "folder")


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


# ---- 39 ------------------------------------------------------------------------------------------------------------

POOLS = """
    import multiprocessing, time
    from concurrent.futures import ProcessPoolExecutor
    import torch

    def half(x):
        return x * 0.5

    def executor(x):
        with ProcessPoolExecutor(1) as pool:
            return list(pool.map(half, [x]))[0]

    def pool(x):
        with multiprocessing.Pool(1) as pool:
            return pool.map(half, [x])[0]

    def context(kind):
        def call(x):
            with multiprocessing.get_context(kind).Pool(1) as pool:
                return pool.map(half, [x])[0]
        return call

    def executing(kind):
        def call(x):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(kind)) as pool:
                return pool.submit(half, x).result()
        return call

    def process(x):
        with multiprocessing.Manager() as manager:
            found = manager.list()
            worker = multiprocessing.Process(target=put, args=(found, x))
            worker.start()
            worker.join()
            return found[0]

    def put(found, x):
        found.append(half(x))

    def imap(x):
        with multiprocessing.Pool(2) as pool:
            return list(pool.imap_unordered(half, [x, x, x]))[0]

    def inner(x):
        def local(x):
            return x * 0.5
        with ProcessPoolExecutor(1) as pool:
            return pool.submit(local, x).result()

    def raising(x):
        with ProcessPoolExecutor(1) as pool:
            return pool.submit(fails, x).result()

    def fails(x):
        raise ValueError("cannot halve this")

    def dying(x):
        with ProcessPoolExecutor(1) as pool:
            return pool.submit(os._exit, 3).result()

    class Halves(torch.utils.data.Dataset):
        def __init__(self, x): self.x = x
        def __len__(self): return 2
        def __getitem__(self, index): return half(self.x)

    def loader(x):
        return next(iter(torch.utils.data.DataLoader(Halves(x), num_workers=1)))[0].numpy()

    def joblib(x):
        from joblib import Parallel, delayed
        return Parallel(2)(delayed(half)(each) for each in [x, x])[0]

    def timed(name, call):
        def denoise(noisy, noise):
            start = time.monotonic()
            try:
                found = call(noisy.numpy())
            finally:
                prove(name, time.monotonic() - start)
            return torch.from_numpy(found.copy())
        return denoise

    def early(options, device, weights):
        pool = multiprocessing.Pool(1)
        return timed("early", lambda x: pool.map(half, [x])[0])

    def early_executor(options, device, weights):
        pool = ProcessPoolExecutor(1)
        return timed("early_executor", lambda x: pool.submit(half, x).result())

    CALLS = {
        "executor": executor, "pool": pool, "process": process, "imap": imap, "inner": inner, "raising": raising,
        "dying": dying, "loader": loader, "joblib": joblib,
        **{f"pool-{kind}": context(kind) for kind in ("fork", "forkserver")},
        **{f"executor-{kind}": executing(kind) for kind in ("fork", "spawn")},
    }

    def made(name, call):
        return mdnbench.DenoiserSpec(name, "1", "x", lambda options, device, weights: timed(name, call))

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        built = [mdnbench.DenoiserSpec("early", "1", "x", early)]
        built += [mdnbench.DenoiserSpec("early_executor", "1", "x", early_executor)]
        return [*(made(name, call) for name, call in CALLS.items()), *built, made("direct", half)]
"""
WORKING = ("executor", "pool", "process", "imap", "loader", "early", "early_executor", "executor-fork", "pool-fork")
SPAWNING = ("executor-spawn", "pool-forkserver")
FAILING = {"inner": "local", "raising": "cannot halve this", "dying": "terminated abruptly"}
LIMIT_S = 60.0  # far from what starting a process takes, even on a busy machine


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory, new_lab: Any, start: str) -> Pair:
    """Methods that share their work between processes, in all ways that Python offers."""
    more = ["joblib"] if importlib.util.find_spec("joblib") else []
    methods = " ".join([*WORKING, *SPAWNING, *FAILING, *more, "direct"])
    lab = new_lab(tmp_path_factory.mktemp("pooled"))
    return pair(lab, start, POOLS, methods, timeout=LIMIT_S)


def test_fault_39_process_pools_work(pooled: Pair) -> None:
    """Pools, executors, managers and loaders of every kind give what the same computation gives without them."""
    expected = pooled.together.values("direct")
    names = [name for name in (*WORKING, *SPAWNING, "joblib") if pooled.together.of(name)]
    assert {row.reason for name in names for row in pooled.together.of(name)} == {""}
    assert {name: pooled.together.values(name) for name in names} == dict.fromkeys(names, expected)


def test_fault_39_pools_that_cannot_work_fail_at_once(pooled: Pair) -> None:
    """With the reason, and never by the time limit; no process is left of any of them."""
    for name, said in FAILING.items():
        assert [row.status for row in pooled.together.of(name)] == ["failed", "failed"]
        assert all(said in row.reason for row in pooled.together.of(name))
    assert max(pooled.proofs().values()) < LIMIT_S
    assert "timeout" not in {row.status for row in pooled.together.rows.values()}
    assert digits(pooled.together) == digits(pooled.alone)

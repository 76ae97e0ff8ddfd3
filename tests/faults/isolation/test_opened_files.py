"""A method that opens files of the tested data set has no cell that counts."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from mdnbench import api

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc, and other limits")

Pair = Any

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
def opening(tmp_path_factory: pytest.TempPathFactory, new_lab: Any, start: str, pair: Any) -> Pair:
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


def test_fault_37_reading_other_files_is_allowed(opening: Pair, digits: Any) -> None:
    """Weights, a picture elsewhere, other files of that folder, and a look at which files there are."""
    rows = [row for name in HONEST for row in opening.together.of(f"opens-{name}")]
    assert {(row.method, row.image): row.reason for row in rows if row.status != "ok"} == {}
    assert digits(opening.together) == digits(opening.alone)


CACHING = """
    import numpy as np

    SAVED = HERE / "saved.npy"

    def pictures():
        import PIL.Image
        if not SAVED.exists():
            np.save(SAVED, [np.asarray(PIL.Image.open(HERE / "pics" / f"{n}.png"), "float32") / 255 for n in (1, 2)])
        return np.load(SAVED)

    def build(options, device, weights):
        import torch
        def denoise(noisy, noise):
            best = min(pictures(), key=lambda each: float(abs(noisy[0, 0].numpy() - each).mean()))
            return torch.from_numpy(best.copy())[None, None]
        return denoise

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        by = mdnbench.Option("by", int, 1)
        return [mdnbench.DenoiserSpec("saving", "1", "x", build, (by,)), spec("other", lambda: None)]
"""


def test_fault_37_what_an_earlier_run_has_saved(lab: Any, tools: str) -> None:
    """While the code is the same, its cells for the same data stay invalid, under any noise and with any options."""
    lab.write("caching.py", tools + CACHING, plugin=True)

    def statuses(methods: str = "saving other", **keys: Any) -> dict[str, set[str]]:
        ran = lab.run(methods, **keys)
        return {name: {row.status for row in ran.of(name)} for name in methods.split()}

    spoilt = {"saving": {"invalid"}, "other": {"ok"}}
    assert statuses() == spoilt
    assert (lab.folder / "saved.npy").exists()
    again = lab.run("saving other")
    assert {row.status for row in again.of("saving")} == {"invalid"}
    assert all("while its code is the same" in row.reason and ".png" in row.reason for row in again.of("saving"))
    assert again.tally.cached == 2
    assert statuses(noise="gaussian:50") == spoilt
    assert statuses("saving[by=2] other") == {"saving[by=2]": {"invalid"}, "other": {"ok"}}
    assert statuses(fresh=True) == spoilt
    lab.write("caching.py", tools + CACHING + "    # a comment\n")
    assert statuses() == spoilt
    lab.write("caching.py", tools + CACHING.replace("(1, 2)", "range(1, 3)"))
    assert statuses()["saving"] == {"ok"}  # other code, and nobody sees where its pictures come from
    lab.write("caching.py", tools + CACHING)
    assert statuses() == spoilt


def test_fault_37_other_data_and_a_store_that_was_compacted(lab: Any, tools: str, new_lab: Any, tmp_path: Path) -> None:
    """The record is about the pixels, wherever they are now: other data are not concerned. Nothing deletes it."""
    lab.write("caching.py", tools + CACHING, plugin=True)
    assert {row.status for row in lab.run("saving").of("saving")} == {"invalid"}
    (tmp_path / "elsewhere").mkdir()
    elsewhere = new_lab(tmp_path / "elsewhere")  # with copies of the same images
    elsewhere.plugins += lab.plugins
    shutil.copytree(lab.folder / ".mdnbench", elsewhere.folder / ".mdnbench")
    assert {row.status for row in elsewhere.run("saving").of("saving")} == {"invalid"}
    for number in (1, 2):
        PIL.Image.new("L", (48, 48), number).save(elsewhere.folder / "pics" / f"{number}.png")
    assert {row.status for row in elsewhere.run("saving").of("saving")} == {"ok"}
    api.compact_store(workspace_folder=lab.folder / ".mdnbench")
    assert {row.status for row in lab.run("saving").of("saving")} == {"invalid"}


LINKED = """
    LINK = HERE / "hard.png"

    def peek():
        if not (HERE / "saved").exists():
            os.link(HERE / "pics" / "1.png", LINK)
            (HERE / "saved").write_bytes(LINK.read_bytes())
        (HERE / "saved").read_bytes()

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [spec("linking", peek)]
"""


def test_fault_37_a_name_that_is_gone_in_the_next_run(lab: Any, tools: str) -> None:
    """The opened file is known by the data set's name for it, not by a link that the method has made."""
    lab.write("linking.py", tools + LINKED, plugin=True)
    for _ in range(2):
        rows = lab.run("linking").of("linking")
        assert {row.status for row in rows} == {"invalid"}
        assert all("opened 1.png" in row.reason for row in rows)
        (lab.folder / "hard.png").unlink(missing_ok=True)


PEEKING = """
    CALLS = HERE / "calls"

    def peek():
        CALLS.open("a").write("x")
        if (HERE / "peek").exists():
            (HERE / "pics" / "2.png").read_bytes()

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [spec("peeking", peek), spec("honest", lambda: None)]
"""


def test_fault_37_what_was_computed_or_stored_before_the_opening(lab: Any, tools: str) -> None:
    """One opening makes the whole method invalid in its run: stored cells too, and no further cell is computed."""
    lab.write("peeking.py", tools + PEEKING, plugin=True)
    before = lab.run("peeking honest", images=["1"])
    assert {row.status for row in before.rows.values()} == {"ok"}
    calls = lab.write("calls", "")
    lab.write("peek", "")
    ran = lab.run("peeking honest", noise=[f"gaussian:{sigma}" for sigma in (25, 26, 27, 28, 29)])
    rows = ran.of("peeking")
    assert len(rows) == 10
    assert {row.status for row in rows} == {"invalid"}
    assert {row.reason for row in rows} == {rows[0].reason}
    assert "2.png" in rows[0].reason
    assert all(score.value is None for row in rows for score in row.scores.values())
    assert {row.status for row in ran.of("honest")} == {"ok"}
    assert len(calls.read_text()) < 4  # without the rule: 9
    assert (ran.tally.failed, ran.tally.cached, ran.tally.computed) == (10, 1, 9)


@pytest.mark.full
def test_fault_37_an_opening_on_a_dask_worker(lab: Any, tools: str) -> None:
    """It is seen where the worker has the file at the same path, as on this machine."""
    pytest.importorskip("distributed", exc_type=ImportError)
    lab.write("peek", "")
    peeking = PEEKING.replace("HERE", f"Path({str(lab.folder)!r})")  # a worker has a copy of the plugin
    lab.write("peeking.py", tools + peeking, plugin=True)
    ran = lab.run("peeking honest", engine="dask")
    assert {row.status for row in ran.of("peeking")} == {"invalid"}
    assert {row.status for row in ran.of("honest")} == {"ok"}

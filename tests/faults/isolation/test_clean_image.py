"""The clean image is nowhere that a method can look."""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc, and other limits")

Lab = Any

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


def test_fault_37_the_clean_image_is_nowhere(lab: Lab, start: str, pair: Any) -> None:
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

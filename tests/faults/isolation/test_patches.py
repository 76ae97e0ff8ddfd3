"""A plugin that replaces functions of libraries or of mdnbench changes no score of another method."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc, and other limits")

Imports = Any
Lab = Any
Pair = Any

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
        from mdnbench.spec.records import MetricScore
        scoring.score = lambda *given: (MetricScore("psnr", "ok", 99.0),)
        return scoring.score()[0].value == 99.0

    def checks():
        import mdnbench.evaluation.outputs as outputs
        import mdnbench.evaluation.protocols as protocols
        outputs.check_values = lambda image, noisy: noisy * 0
        protocols.ImageRule.apply = lambda self, image: image * 0
        return protocols.ImageRule.apply(None, 3) == 0

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
def patched(tmp_path_factory: pytest.TempPathFactory, new_lab: Any, start: str, pair: Any) -> Pair:
    """Methods that replace functions, in front of the others."""
    methods = " ".join(f"{where}-{name}" for where in ("build", "denoise") for name in PATCHED)
    return pair(new_lab(tmp_path_factory.mktemp("patched")), start, PATCHES + IN_CALLS, methods)


def test_fault_36_replaced_functions_change_no_other_score(patched: Pair, digits: Any) -> None:
    """Every patch took effect where it was made, and the scores of all other methods are those of a run without."""
    proofs = patched.proofs()
    expected = {f"{where}-{name}" for where in ("build", "denoise") for name in PATCHED}
    assert {name for name in expected if proofs.get(name) not in (True, "patched")} == set()
    assert {row[0] for row in digits(patched.alone).values()} == {"ok"}
    assert digits(patched.together) == digits(patched.alone)


def test_fault_36_functions_that_a_metric_and_a_noise_replace(
    lab: Lab, start: str, pair: Any, digits: Any, metrics: Any
) -> None:
    """Other metrics, and all cells under another noise, have the scores of a run without."""
    found = pair(
        lab, start, PATCHES + IN_CALLS, "", noise=["bad-noise:1", "gaussian:25"], metrics=["bad-score", *metrics]
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
            link = f"/proc/self/fd/{name}"  # that of the listing itself is gone
            if os.path.lexists(link) and os.readlink(link).startswith("socket"):
                os.write(int(name), b"no answer at all")

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [spec("garble", garble), spec("shout", shout)]
"""


def test_fault_36_an_answer_that_cannot_be_read(lab: Lab, start: str, pair: Any, digits: Any) -> None:
    """Is the method's fault, and found out before the time limit; the next methods do as ever."""
    begun = time.monotonic()
    found = pair(lab, start, GARBLES, "garble shout", timeout=15)
    assert {row.status for row in found.together.of("shout")} == {"crashed"}
    assert {row.status for row in found.together.of("garble")} <= {"crashed", "ok"}  # "ok": its answer was not garbled
    assert digits(found.together) == digits(found.alone)
    assert time.monotonic() - begun < 4 * 15


def test_fault_36_what_replaces_functions_has_honest_scores_itself(patched: Pair, metrics: Any) -> None:
    """All that a method can change is its own output: its scores are those of `noisy`, which gives the same image."""
    honest = {row.image: row for row in patched.together.of("noisy")}
    wrong = []
    for key, row in patched.together.rows.items():
        if row.method.startswith(("build-", "denoise-")) and row.status == "ok":
            same = honest[row.image]
            if [row.value(name) for name in metrics] != [same.value(name) for name in metrics]:
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


@pytest.mark.parametrize(
    "names",
    [("hashing",), *(pytest.param(each, marks=pytest.mark.full) for each in (CHANGED_AT_IMPORT, ("pickling",)))],
    ids=lambda names: names[0],
)
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

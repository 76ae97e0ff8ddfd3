"""Plan files and names with options: nonsense of every kind is refused in one line, and touches no store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import strategies as st

from mdnbench import registry
from mdnbench.spec.names import Named

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["all", "noisy", "noisy,median", "bm3d[profile=lc]", "median[", "gaussian:50", "gaussian:sigma=nan", "poisson:",
         "mixed:sigma=1,peak=2,density=0.1", "psnr", "ssim[uniform]", "a", "../x", "standard", "x.toml", "cuda",
         "known", "a,,b", "[]", ":", "=", "\x1b[31m", "٣", "1e999", "9" * 400],
    ),
)  # fmt: skip
NUMBERS = st.one_of(st.integers(-3, 60), st.integers(-(2**63), 2**63 - 1), st.floats())
ANYTHING = st.recursive(
    st.one_of(TEXTS, NUMBERS, st.booleans(), st.dates(), st.datetimes()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
SOUND: dict[str, st.SearchStrategy[Any]] = {
    "methods": st.lists(st.sampled_from(["noisy", "median", "median[size=5]"]), min_size=1, max_size=2),
    "noise": st.sampled_from(["gaussian:50", "poisson:10", ["gaussian:5", "speckle:20"]]),
    "sigma": st.one_of(st.integers(0, 80), st.lists(st.integers(1, 80), min_size=1, max_size=3)),
    "dataset": st.just("tiny"),
    "images": st.just(["a"]),
    "metrics": st.just(["psnr", "ssim"]),
    "seeds": st.integers(1, 4),
    "protocol": st.sampled_from(["standard", "float", "clipped"]),
    "noise_info": st.sampled_from(["known", "estimated", "withheld"]),
    "device": st.just("cpu"),
    "jobs": st.integers(0, 3),
    "out": st.sampled_from(["mine", "../mine", "a/b"]),
    "fresh": st.booleans(),
    "timing": st.booleans(),
    "timeout": st.integers(1, 99),
    "memory": st.just(1.5),
    "keep_images": st.sampled_from(["first-seed", "all", "none"]),
    "train_budget": st.just(0),
    "plugins": st.just([]),
}
KEYS = st.one_of(st.sampled_from(sorted(SOUND)), st.text(max_size=8))


@st.composite
def plans(draw: st.DrawFn) -> bytes:
    """A plan file that is nearly sound: a few keys as they should be, a few that are not, a few bytes altered."""
    names = draw(st.lists(st.sampled_from(sorted(SOUND)), max_size=5, unique=True))
    table = {"dataset": "tiny", "noise": "gaussian:50"} | {name: draw(SOUND[name]) for name in names}
    damage = draw(st.sampled_from(["none", "keys", "bytes"]))
    if damage == "keys":
        table |= draw(st.dictionaries(KEYS, ANYTHING, min_size=1, max_size=2))
    content = bytearray(tomli_w.dumps(table).encode("utf-8", "backslashreplace"))
    if damage == "bytes":
        for place, byte in draw(st.lists(st.tuples(st.integers(0, 300), st.integers(32, 130)), max_size=2)):
            content[place % len(content)] = byte
    return bytes(content)


def test_plan_files(fuzz: Any, mdnbench: Any, tiny: Path, stored: Path, unchanged: Any, workspace: Path) -> None:
    """`mdnbench plan FILE` shows a plan or refuses it in one line, and changes nothing."""
    path, seen = workspace / "plan.toml", set()

    def check(content: bytes) -> None:
        path.write_bytes(content)
        with unchanged(stored):
            seen.add(mdnbench("plan", path, "--json").code)

    fuzz(check, 45, content=plans())
    assert {0, 2} <= seen  # both ways were taken


def test_files_that_are_no_plan(
    fuzz: Any, mdnbench: Any, tiny: Path, stored: Path, unchanged: Any, workspace: Path
) -> None:
    """Random bytes and random text are refused by the file's name."""
    path = workspace / "plan.toml"

    def check(content: bytes | str) -> None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
        with unchanged(stored):
            mdnbench("plan", path, "--sigma", 50, "--dataset", tiny, "--methods", "noisy")

    fuzz(check, 15, content=st.one_of(st.binary(max_size=60), st.text(max_size=60)))


PIECES = st.sampled_from(
    ["noisy", "median", "bm3d", "nlm", "gaussian", "poisson", "mixed", "ssim", "psnr", "html", "size", "sigma", "peak",
     "profile", "weights", "limit", "[", "]", ":", "=", ",", " ", "5", "0.1", "-1", "1e999", "nan", "inf", "1_0", "٣",
     "0x10", "true", "uniform", "auto", "", "\n", "\x00", "\x1b[0m", "é", "😀", "‮", "'", '"', "../", "9" * 5000],
)  # fmt: skip


def test_names_with_options(fuzz: Any, attempt: Any) -> None:
    """Any text is a name that means one thing, or is refused in one line; what it means is written the same again."""
    known = registry.load()
    ways: tuple[Callable[[str], Any], ...] = (known.method, known.noise, known.reporter, known.metric)

    def check(text: str, way: int) -> None:
        found, _ = attempt(ways[way], text)
        if isinstance(found, Named):
            assert ways[way](found.text) == found

    fuzz(check, 250, text=st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=9).map("".join)),
         way=st.integers(0, len(ways) - 1))  # fmt: skip

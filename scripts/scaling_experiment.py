"""Measure how the time and memory of methods grow with the image, and write docs/experiments/scaling.md.

Usage: scaling_experiment.py [--methods bm3d,dncnn] [--time-budget 580] [--show]

Run it on a machine that does nothing else; it refuses a busy one. With --show the page is only printed, on a busy
machine too. What was measured on this machine before is not measured again.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from mdnbench import api
from mdnbench.planning import environment
from mdnbench.results import numbers
from mdnbench.results.render import markdown
from mdnbench.spec.timings import Benchmark
from mdnbench.timing import summary
from mdnbench.timing.scaling import PowerFit, Scaling, table
from mdnbench.timing.times import Times

PAGE = Path(__file__).resolve().parents[1] / "docs" / "experiments" / "scaling.md"
METHODS = "noisy,median,wavelet,nlm,tv,bm3d,dncnn,unet,masked-unet"
BUSY = 0.5  # the mean number of other running processes over a minute, above which a machine is busy
CLAIMED = "bm3d"
NEAR = 0.25  # an exponent that differs from a whole number by at most this counts as that number

HEAD = """# How time and memory grow with the image

The article behind this project says that BM3D takes O(n²). It does not say what n is: the side of the image, or its
number of pixels. Here every method denoises squares from {smallest} to {largest} pixels a side, alone on one thread,
and a power of the number of pixels is fitted to its seconds and to its memory: [Timing](../timing.md#growth) says how,
and what the numbers mean.
"""

FOOT = """## Made by

    python scripts/scaling_experiment.py --methods {methods} --time-budget {budget:g}

{notes}
"""


def main() -> None:
    """Measure, and write or print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--time-budget", type=float, default=580.0)
    parser.add_argument("--sizes", default="", help="other sides than 64 to 2048, by comma; only with --show")
    parser.add_argument("--show", action="store_true")
    asked = parser.parse_args()
    if asked.sizes and not asked.show:
        parser.error("other sizes are for --show alone")
    if not asked.show and psutil.getloadavg()[0] > BUSY:
        sys.exit(f"the machine is busy (load {psutil.getloadavg()[0]:.1f}): figures would not be worth a page.")
    sizes = [int(side) for side in asked.sizes.split(",") if side]
    found = api.time(
        methods=asked.methods.split(","), sigma=50, sizes=sizes, budget_s=asked.time_budget, scaling=True
    )  # fmt: skip
    page = "\n\n".join(_page(found, asked.methods, asked.time_budget))
    if asked.show:
        print(page)
        return
    if missing := [f"{name}: {why}" for name, why in found.record.problems.items()]:
        sys.exit("the page would have holes; give it more time. " + "; ".join(missing))
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    print(PAGE)


def _page(found: Times, methods: str, budget: float) -> Iterator[str]:
    grown = found.scaling
    sides = sorted({side for each in grown for side in each.sides})
    yield HEAD.format(smallest=sides[0], largest=sides[-1]).strip()
    versions = environment.versions(("numpy", "torch", "bm3d", "scikit-image"))
    packages = " · ".join(f"{name} {version}" for name, version in versions.items())
    gib = environment.memory_bytes() / 2**30
    yield f"{summary.machine(found.record)}, {gib:.0f} GiB · {packages} · {found.record.datetime[:10]}"
    for each in grown:
        if each.method == CLAIMED:
            yield f"## Is BM3D O(n²)?\n\n{textwrap.fill(_verdict(each), 118)}"
    yield f"## Exponents\n\n{markdown.render(replace(table(grown), caption=''))}"
    titles = ("Method", *(f"{side}²" for side in sides))
    above = "Level rows are linear in pixels. In brackets: how many calls the median is of."
    yield f"## Milliseconds per megapixel\n\n{above}\n\n{_grid(titles, _rows(found, sides, _pace))}"
    yield f"## Memory in MiB\n\n{_grid(titles, _rows(found, sides, _memory))}"
    notes = "\n".join(f"- {note}" for note in summary.notes(found.record))
    yield FOOT.format(methods=methods, budget=budget, notes=notes)


def _verdict(each: Scaling) -> str:
    """Return in words what the measurement means for the claim, in both meanings of n."""
    pixels, side = _power(each.time, 1), _power(each.time, 2)
    text = (
        f"Its time grows as the number of pixels to the power of {pixels}, which is the side to the power of {side}. "
        f"Between the two largest images alone the powers are {each.time.last:.2f} and {2 * each.time.last:.2f}."
    )
    if abs(each.time.last - 1) > NEAR:
        sense = (
            "is right even where n is the number of pixels"
            if abs(each.time.last - 2) <= NEAR
            else "holds for neither meaning of n"
        )
        return f"{text} So O(n²) {sense}."
    return (
        f"{text} So O(n²) is right where n is the side of the image. It is wrong where n is the number of pixels: "
        "there BM3D is O(n), like the convolutional networks that it is compared with, because it looks for similar "
        "patches in a window of fixed size around each patch and not in the whole image. What sets it apart is the "
        f"factor: {each.seconds[-1]:.1f} s for {each.sides[-1]}×{each.sides[-1]} pixels on one thread."
    )


def _power(fit: PowerFit, factor: int) -> str:
    return f"{factor * fit.exponent:.2f} (95 %: {factor * fit.low:.2f} to {factor * fit.high:.2f})"


def _rows(found: Times, sides: Sequence[int], show: Callable[[Benchmark], str]) -> list[list[str]]:
    """Return a row for each method, with the shown value of each size."""
    known = {(each.name, each.extra_info.side): each for each in found.record.benchmarks}
    methods = dict.fromkeys(name for name, _ in known)
    return [[name, *(show(known[name, side]) if (name, side) in known else "–" for side in sides)] for name in methods]


def _pace(each: Benchmark) -> str:
    text = numbers.figures(each.extra_info.ms_per_megapixel)
    return f"{text} ({each.stats.rounds})"


def _memory(each: Benchmark) -> str:
    return f"{each.extra_info.peak_memory_bytes / 2**20:.0f}"


def _grid(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()

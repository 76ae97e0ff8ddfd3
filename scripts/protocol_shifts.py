"""Measure how much each choice behind a table changes its numbers, and write the result into docs/protocols.md.

Usage: protocol_shifts.py [--dataset set12] [--images 01,02] [--methods noisy,bm3d,unet,dncnn] [--sigmas 15,50]
                          [--seeds 5] [--profiles lc,fast] [--page docs/protocols.md] [--jobs 1]

The script runs the methods under the protocols `standard` and `clipped`, rescores the kept outputs, runs BM3D's
profiles and more noise seeds, and writes the tables between the two markers of the page. Results that the store of the
workspace in the current folder has already are not computed again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdnbench import api
from mdnbench.cli import progress
from mdnbench.planning import request
from mdnbench.results import Results, tables
from mdnbench.results.score_shifts import Shift
from mdnbench.results.table import Column
from mdnbench.spec.names import split_list
from mdnbench.store import score_array

PAGE = Path(__file__).parents[1] / "docs" / "protocols.md"
BEGIN, END = "<!-- measured by scripts/protocol_shifts.py -->", "<!-- end of what was measured -->"
CROPPED = """
name = "cropped"
version = 1
summary = "As standard, with eight pixels of border left out of the scores."
[input]
clamp = false
[scoring]
clamp = true
bits = 8
border = 8
"""
WORDS = {
    "float": "output not rounded (`float`)",
    "masked-paper": "1 pixel of border left out",
    "cropped": "8 pixels of border left out",
}


@dataclass(frozen=True)
class Measured:
    """The runs and shifts behind the tables."""

    standard: Results
    shifts: tuple[Shift, ...]
    clipped: Results
    seeds: Results
    profiles: Results | None


@dataclass(frozen=True)
class Asked:
    """The arguments of the command line."""

    dataset: str
    images: list[str]
    methods: list[str]
    sigmas: list[float]
    seeds: int
    profiles: list[str]
    jobs: int

    def run(self, name: str, **changes: object) -> Results:
        """Run these methods under these noises, with `changes` to the request."""
        keys: dict[str, object] = {
            "methods": self.methods, "sigma": self.sigmas, "dataset": self.dataset, "images": self.images,
            "timing": False, "jobs": self.jobs, "out": f"shifts-{name}",
        }  # fmt: skip
        with progress.listener() as listener:
            return api.run(request.from_values(keys | changes, "the request"), listener=listener)


def main() -> None:
    """Measure the shifts, and write them into the page."""
    asked, page = _asked()
    found = measure(asked)
    text = "\n\n".join(blocks(found))
    page.write_text(inserted(page.read_text(encoding="utf-8"), text), encoding="utf-8")
    print(text)


def measure(asked: Asked) -> Measured:
    """Run everything that is needed, and rescore the kept outputs."""
    standard = asked.run("standard")
    with tempfile.TemporaryDirectory() as folder:
        cropped = Path(folder) / "cropped.toml"
        cropped.write_text(CROPPED, encoding="utf-8")
        shifts = api.rescore(standard, ["all", str(cropped)], jobs=asked.jobs).shifts
    last = asked.sigmas[-1:]
    profiles = [f"bm3d[profile={name}]" for name in asked.profiles]
    return Measured(
        standard,
        shifts,
        asked.run("clipped", protocol="clipped"),
        asked.run("seeds", sigma=last, seeds=asked.seeds, metrics=["psnr"]),
        asked.run("profiles", methods=["bm3d", *profiles], sigma=last) if profiles else None,
    )


def inserted(page: str, text: str) -> str:
    """Return the page with this text between its two markers, in place of the earlier text."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"the page lacks the lines {BEGIN!r} and {END!r}, in this order.")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def blocks(found: Measured) -> Iterator[str]:
    """Yield the paragraphs and tables of the page."""
    facts = found.standard.run.facts
    version = facts.environment.mdnbench
    yield (f"Measured on {facts.dataset} ({facts.dataset_digest}, {len(facts.images)} images) with mdnbench {version}.")
    if facts.notes:
        yield "\n".join(f"- {note.partition(' for ')[0]}" for note in facts.notes)
    for column in tables.columns_of(found.standard.run):
        if not column.absent:
            yield _metric(found, column)
    if found.profiles is not None:
        yield _profiles(found.profiles)


def _metric(found: Measured, column: Column) -> str:
    """Return the table of one metric: its means under `standard`, and the change that each choice makes."""
    means = _means(found.standard, column.name)
    methods = list(found.standard.run.facts.methods)
    noises = list(found.standard.run.facts.noises)
    lines = [[column.title.rstrip(" ↑↓"), "sigma", *methods]]
    lines += [[f"as `{_protocol(found)}` has it", _sigma(noise), *(_plain(means.get((noise, method)), column)
               for method in methods)] for noise in noises]  # fmt: skip
    ways = dict.fromkeys(each.way for each in found.shifts if each.beside == column.name)
    for way in sorted(ways, key=lambda way: "[" in way):  # scoring rules first, then the metric's settings
        moved = {(each.noise, each.method): each.shift for each in found.shifts
                 if (each.way, each.beside) == (way, column.name)}  # fmt: skip
        lines += _shift_lines(WORDS.get(way, f"`{way}`"), moved, noises, methods, column)
    other = _means(found.clipped, column.name)
    moved = {place: other[place] - mean for place, mean in means.items() if place in other}
    lines += _shift_lines("noisy image clipped and rounded (`clipped`)", moved, noises, methods, column)
    if column.name == "psnr":
        lines += _seed_lines(found.seeds, methods)
    return _grid(lines)


def _shift_lines(
    words: str, moved: dict[tuple[str, str], float], noises: Sequence[str], methods: Sequence[str], column: Column
) -> list[list[str]]:
    return [[words, _sigma(noise), *(_moved(moved.get((noise, method)), column) for method in methods)]
            for noise in noises]  # fmt: skip


def _seed_lines(seeds: Results, methods: Sequence[str]) -> list[list[str]]:
    """Return how the mean over all images varies with the noise seed: its standard deviation, and its whole range."""
    scores = score_array.read(seeds.store, seeds.run, ["psnr"])
    by_seed = scores.values["psnr"].mean(axis=2)  # (noises, methods, seeds)
    lines = []
    for index, noise in enumerate(scores.noises):
        found = {method: by_seed[index, place] for place, method in enumerate(scores.methods)}
        title = f"another noise seed: standard deviation of the mean over {scores.seeds}"
        lines.append([title, _sigma(noise), *(f"±{found[each].std(ddof=1):.3f}" for each in methods)])
        title = f"the highest of these {scores.seeds} means less the lowest"
        lines.append([title, _sigma(noise), *(f"{np.ptp(found[each]):.3f}" for each in methods)])
    return lines


def _profiles(found: Results) -> str:
    """Return the table of BM3D's profiles, compared with the default one."""
    columns = [column for column in tables.columns_of(found.run) if not column.absent]
    first, *others = found.run.facts.methods
    noise = next(iter(found.run.facts.noises))
    lines = [["BM3D", "sigma", *(column.title.rstrip(" ↑↓") for column in columns)]]
    means = [_means(found, column.name) for column in columns]
    pairs = list(zip(columns, means, strict=True))
    lines.append([f"`{first}`, profile np", _sigma(noise), *(_plain(each[noise, first], c) for c, each in pairs)])
    for other in others:
        moved = (_moved(each[noise, other] - each[noise, first], column) for column, each in pairs)
        lines.append([f"`{other}`", _sigma(noise), *moved])
    return _grid(lines)


def _means(found: Results, metric: str) -> dict[tuple[str, str], float]:
    return {(row.noise, row.method): mean for row in found.means if (mean := row.means.get(metric)) is not None}


def _protocol(found: Measured) -> str:
    return str(found.standard.run.facts.protocol)


def _sigma(noise: str) -> str:
    return noise.rpartition("=")[2]


def _plain(value: float | None, column: Column) -> str:
    return column.show(value)


def _moved(value: float | None, column: Column) -> str:
    digits = column.digits + 1
    return "–" if value is None else f"{round(value, digits) + 0.0:+.{digits}f}"


def _grid(lines: Sequence[Sequence[str]]) -> str:
    head, *rows = lines
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))


def _asked() -> tuple[Asked, Path]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="set12")
    parser.add_argument("--images", default="")
    parser.add_argument("--methods", default="noisy,bm3d,unet,dncnn")
    parser.add_argument("--sigmas", default="15,50")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--profiles", default="lc,fast", help="BM3D's; empty for none")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--jobs", type=int, default=1)
    said = parser.parse_args()
    sigmas = [float(text) for text in split_list(said.sigmas)]
    lists = {name: split_list(getattr(said, name)) for name in ("images", "methods", "profiles")}
    return Asked(said.dataset, sigmas=sigmas, seeds=said.seeds, jobs=said.jobs, **lists), said.page


if __name__ == "__main__":
    main()

"""Measure the cost and gain of deployment variants on Set12, and write docs/experiments/deployment.md.

Usage: deployment_experiment.py run [--minutes 8] [--methods dncnn,unet,masked-unet] [--time-budget 300]
       deployment_experiment.py page [--show]

`run` prunes and fine-tunes each method once (for `--minutes`), denoises, and times each method's variants in
interleaved rounds. What is stored is not computed again. Run it on a machine that does nothing else; it refuses a busy
one. `page` makes the page from the store and the timing records alone.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from mdnbench import api, registry, weights
from mdnbench.planning import environment
from mdnbench.results import Results, numbers
from mdnbench.spec.timings import TimingRecord
from mdnbench.store import workspace
from mdnbench.timing import summary
from mdnbench.util import jsonfile

PAGE = Path(__file__).resolve().parents[1] / "docs" / "experiments" / "deployment.md"
RUN = "deployment"
METHODS = "dncnn,unet,masked-unet"
VARIANTS = (
    "", "backend=onnxruntime", "compile=true", "precision=bf16", "precision=int8", "keep=0.7",
    "keep=0.7,backend=onnxruntime", "keep=0.7,precision=int8",
)  # fmt: skip
NOISES, JUDGED = ("gaussian:15", "gaussian:25", "gaussian:50"), "gaussian:sigma=50"
SIZES = (256, 512)
BUSY = 0.5  # the mean number of running processes over a minute, above which a machine is busy
PRUNED, RUNTIME = "keep=0.7,precision=int8", "backend=onnxruntime"
CLAIMED_PRUNED, CLAIMED_RUNTIME = 3.0, 50 / 15
METRICS = (("psnr", 2), ("ssim", 4), ("lpips", 4))  # with the number of decimals of a change
NEAR = 0.95  # a measured factor of at least this share of the claimed one confirms the claim

HEAD = """# Deployment variants measured

The article behind this project says that channel pruning that keeps 70 %, together with INT8, makes inference 3×
faster, and that an optimised runtime brings 50 ms to 15 ms. It does not say on which machine, at which size of image,
or what that costs in quality. Here each [variant](../deployment.md) of every learned method denoises Set12, and is
timed on squares of 256 and 512 pixels on one thread, in rounds that go over the variants in turn. Every factor is the
median of the method as torch computes it in fp32 over the median of the variant."""

FOOT = """## Made by

    python scripts/deployment_experiment.py run
    python scripts/deployment_experiment.py page

{notes}"""


@dataclass(frozen=True, slots=True)
class Row:
    """A variant with its results.

    Attributes:
        text: The variant, as tables name it.
        means: The means by noise and metric.
        ms: The milliseconds by side of the image in pixels.
        file_bytes: The size of the exported file, or None if there is none.
    """

    text: str
    means: Mapping[str, Mapping[str, float | None]]
    ms: Mapping[int, float]
    file_bytes: int | None


def main() -> None:
    """Measure the variants, or make the page from earlier measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "page"))
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--minutes", type=float, default=8.0, help="of fine-tuning, for each method")
    parser.add_argument("--time-budget", type=float, default=300.0, help="seconds of timing, for each method")
    parser.add_argument("--images", default="", help="only these of Set12, by comma: to rehearse")
    parser.add_argument("--noise", default=";".join(NOISES), help="by semicolon")
    parser.add_argument("--busy", action="store_true", help="measure on a busy machine too: to rehearse")
    parser.add_argument("--show", action="store_true", help="print the page, and leave the file alone")
    asked = parser.parse_args()
    if asked.what == "run":
        if not asked.busy and psutil.getloadavg()[0] > BUSY:
            sys.exit(f"the machine is busy (load {psutil.getloadavg()[0]:.1f}): figures would not be worth a page.")
        measure(asked)
        return
    page = "\n\n".join(_page(asked.methods.split(","))) + "\n"
    if asked.show:
        print(page)
        return
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    print(PAGE)


# -- measuring -------------------------------------------------------------------------------------------------------


def measure(asked: argparse.Namespace) -> None:
    """Fine-tune, denoise and time all variants, except for what is already stored."""
    methods = asked.methods.split(",")
    for method in methods:
        fine_tune(f"{method}[keep=0.7]", asked.minutes)
    images = [image for image in asked.images.split(",") if image]
    api.run(
        methods=[text for method in methods for text in _texts(method)], noise=asked.noise.split(";"), dataset="set12",
        images=images, timing=False, keep_images="none", out=RUN,
    )  # fmt: skip
    for method in methods:
        found = api.time(
            methods=_texts(method), noise="gaussian:50", dataset="set12", sizes=SIZES, threads=[1],
            budget_s=asked.time_budget, out=f"{RUN}-{method}",
        )  # fmt: skip
        print(*found.notes, sep="\n", flush=True)


def fine_tune(method: str, minutes: float) -> None:
    """Prune and fine-tune one method, unless weights with at least 95 % of this training time exist."""
    known = registry.load()
    named = known.method(method)
    found = weights.resolve(known.denoisers[named.name], named, known.noise("gaussian:50"))
    if found and found.weights.card.minutes >= NEAR * minutes:
        print(f"{method} is there already", flush=True)
        return
    card = api.train(method, minutes=minutes).card
    psnr = "" if card.validation_psnr is None else f", {card.validation_psnr:.2f} dB"
    print(f"{method}: {card.steps} steps, {card.minutes:.1f} minutes{psnr}", flush=True)


def _texts(method: str) -> list[str]:
    """Return a method and its variants, as tables name them."""
    known = registry.load()
    return [known.method(f"{method}[{variant}]" if variant else method).text for variant in VARIANTS]


# -- the page --------------------------------------------------------------------------------------------------------


def _page(methods: Sequence[str]) -> Iterator[str]:
    found = api.open_run(RUN)
    records = {method: _record(method) for method in methods}
    rows = {method: _rows(method, found, records[method]) for method in methods}
    noises = [noise for noise in found.run.facts.noises if noise != JUDGED]
    yield HEAD
    yield _machine(next(iter(records.values())), found)
    yield "## Verdict"
    yield from (textwrap.fill(text, 118) for text in _verdict(rows))
    for method in methods:
        yield f"## {method}"
        yield _means_line(rows[method][0], found)
        yield _table(rows[method])
    if noises:
        yield "## Other levels of noise\n\nChange of the mean PSNR in dB."
        yield _levels(rows, noises)
    yield "## Pruned networks"
    yield _cards(methods)
    notes = [f"- {method}: {note}" for method in methods for note in summary.notes(records[method])]
    yield FOOT.format(notes="\n".join(notes))


def _record(method: str) -> TimingRecord:
    path = workspace.locate() / "timings" / f"{RUN}-{method}" / "timing.json"
    if not path.is_file():
        sys.exit(f"there is no {path}; `deployment_experiment.py run` first.")
    return jsonfile.read(path, "timing record", TimingRecord)


def _rows(method: str, found: Results, record: TimingRecord) -> list[Row]:
    means = {(row.method, row.noise): row.means for row in found.means}
    timed = {(each.name, each.extra_info.side): each for each in record.benchmarks}
    made = []
    for text in _texts(method):
        ms = {side: 1000 * timed[text, side].stats.median for side in SIZES if (text, side) in timed}
        sizes = [each.extra_info.file_bytes for (name, _), each in timed.items() if name == text]
        scores = {noise: means[text, noise] for noise in found.run.facts.noises if (text, noise) in means}
        made.append(Row(text, scores, ms, sizes[0] if sizes else None))
    return made


def _machine(record: TimingRecord, found: Results) -> str:
    """Return the machine and the versions of packages; torch-pruning is added, because no method's identity has it."""
    used = {name: version for facts in found.run.facts.methods.values() for name, version in facts.packages.items()}
    used["torch-pruning"] = environment.version_of("torch-pruning")
    versions = " · ".join(f"{name} {version}" for name, version in used.items())
    gib = environment.memory_bytes() / 2**30
    return f"{summary.machine(record)}, {gib:.0f} GiB · {versions} · {record.datetime[:10]}"


def _verdict(rows: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Yield each claim with the measurements for it."""
    claims = (
        (PRUNED, CLAIMED_PRUNED, "Pruning to 70 % with INT8 makes inference 3× faster", ""),
        (RUNTIME, CLAIMED_RUNTIME, "An optimised runtime brings 50 ms to 15 ms (3.3×)", "ONNX Runtime in fp32: "),
    )
    for variant, claimed, claim, what in claims:
        measured = [_claimed(method, found, variant, claimed) for method, found in rows.items()]
        held = [each for each, holds in measured if holds]
        finding = "holds" if len(held) == len(measured) else "holds for some" if held else "does not hold"
        yield f"**{claim}: {finding}.** {what}{'; '.join(each for each, _ in measured)}."


def _claimed(method: str, rows: Sequence[Row], variant: str, claimed: float) -> tuple[str, bool]:
    """Return a method's measurements for a claim, and whether it reaches the claimed factor at every size."""
    base, row = rows[0], rows[VARIANTS.index(variant)]
    factors = {side: _factor(base, row, side) for side in SIZES}
    known = {side: factor for side, factor in factors.items() if factor is not None}
    if not known:
        return f"{method} was not timed", False
    parts = ", ".join(
        f"{factor:.1f}× at {side}² ({base.ms[side]:.0f} to {row.ms[side]:.0f} ms)" for side, factor in known.items()
    )
    return f"{method} {parts}, at {_change(base, row, JUDGED, 'psnr', 2)} dB", min(known.values()) >= NEAR * claimed


def _factor(base: Row, row: Row, side: int) -> float | None:
    return base.ms[side] / row.ms[side] if side in base.ms and side in row.ms else None


def _means_line(base: Row, found: Results) -> str:
    units = {"psnr": " dB", "ssim": "", "lpips": ""}
    digits = {"psnr": 2, "ssim": 4, "lpips": 4}
    scores = base.means.get(JUDGED, {})
    shown = [f"{name.upper()} {value:.{digits[name]}f}{units[name]}" for name in units if (value := scores.get(name))]
    count = len(found.run.facts.images)
    said = (
        f"As its author computes it{_weights(base, found)}: {', '.join(shown)}, the means of {count} images at σ 50. "
        "Changes are to these."
    )
    return textwrap.fill(said, 118)


def _weights(base: Row, found: Results) -> str:
    """Return in words which weights the run used, because other weights may have been shipped since."""
    row = next((row for row in found.rows() if row.method == base.text), None)
    return f", with the weights of SHA-256 `{row.provenance.weights_digest[:12]}`" if row else ""


def _table(rows: Sequence[Row]) -> str:
    heads = ["variant", "Δ dB", "Δ SSIM", "Δ LPIPS"]
    heads += [text for side in SIZES for text in (f"ms at {side}²", "faster")] + ["file, MB"]
    lines = []
    for row in rows:
        line = [f"`{row.text}`", *(_change(rows[0], row, JUDGED, *each) for each in METRICS)]
        for side in SIZES:
            factor = _factor(rows[0], row, side)
            line += [
                numbers.figures(row.ms[side]) if side in row.ms else "–",
                f"{factor:.2f}×" if factor else "–",
            ]
        lines.append([*line, "–" if row.file_bytes is None else f"{row.file_bytes / 1e6:.2f}"])
    return _grid(heads, lines)


def _change(base: Row, row: Row, noise: str, metric: str, digits: int) -> str:
    first, second = base.means.get(noise, {}).get(metric), row.means.get(noise, {}).get(metric)
    if first is None or second is None:
        return "–"
    return f"{round(second - first, digits) + 0.0:+.{digits}f}"


def _levels(rows: Mapping[str, Sequence[Row]], noises: Sequence[str]) -> str:
    lines = [
        [f"`{row.text}`", *(_change(found[0], row, noise, "psnr", 2) for noise in noises)]
        for found in rows.values()
        for row in found[1:]
    ]
    return _grid(["variant", *(f"`{noise}`" for noise in noises)], lines)


def _cards(methods: Sequence[str]) -> str:
    known, lines = registry.load(), []
    for method in methods:
        named = known.method(f"{method}[keep=0.7]")
        found = weights.resolve(known.denoisers[method], named, known.noise("gaussian:50"))
        if found:
            card = found.weights.card
            psnr = "–" if card.validation_psnr is None else f"{card.validation_psnr:.2f}"
            lines.append([f"`{named.text}`", str(card.steps), f"{card.minutes:.1f}", psnr, card.device])
    return _grid(["network", "steps", "minutes", "validation, dB", "device"], lines)


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()

"""Whether hiding pixels in training helps: trains the networks, tests them, and writes docs/experiments/masking.md.

Usage: masking_experiment.py train [--steps 3000] [--device cpu] [--threads 1] [--share 1/2]
       masking_experiment.py run [--images 01,02]
       masking_experiment.py page [--show]

`train` makes the thirteen networks below, each once; two calls with --share 1/2 and --share 2/2 divide them. `run`
denoises Set12 under every test noise. `page` makes the page and its plots from the store and the weights' cards alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdnbench import api, registry, weights
from mdnbench.results import Results
from mdnbench.statistics import paired
from mdnbench.statistics.paired import Pair
from mdnbench.store import cube
from mdnbench.training import recipe as recipes
from mdnbench.weights import Card

PAGE = Path(__file__).resolve().parents[1] / "docs" / "experiments" / "masking.md"
RUN = "masking"
STEPS = 3000
ONE_LEVEL: dict[str, Any] = {
    "noise": [{"family": "gaussian", "ranges": {"sigma": [25, 25]}}],
    "blind": True,
    "validation": {"noise": ["gaussian:25"]},
}
RATIOS = (0.1, 0.5, 0.7, 0.9)
TESTS = (
    "gaussian:15", "gaussian:25", "gaussian:50", "gaussian:75", "poisson:30", "salt-pepper:0.05", "speckle:50",
    "correlated:sigma=25,width=3", "mixed:sigma=25,peak=60,density=0.05",
)  # fmt: skip
RATIO_TESTS = ("gaussian:25", "gaussian:50", "salt-pepper:0.05", "mixed:sigma=25,peak=60,density=0.05")
METRICS = ("psnr", "ssim", "lpips")
TIE = 0.005  # dB: what two decimals do not show
BLUE, ORANGE, GRAY = "#2563a8", "#c2570c", "#777777"

HEAD = """# Does hiding pixels in training help?

The article behind this project trains a network on images of which a random part is hidden, and says that this makes
it generalise: to noise that it has not seen, and beyond DnCNN and BM3D on Set12. The method's own authors (Chen et al.,
CVPR 2023) claim less: that masked training loses a little where the test noise is the training noise, and wins where it
is not. Here `masked-unet` is held against `unet`, which is the same network without mask input and attention, trained
on the same photographs for as many steps. Both are blind: neither is told what noise it is given, since
what a network does with noise that it never saw is the question."""

FOOT = """## Made by

    python scripts/masking_experiment.py train --steps {steps}
    python scripts/masking_experiment.py run
    python scripts/masking_experiment.py page"""


@dataclass(frozen=True, slots=True)
class Network:
    """One network of the experiment: what it is called, of which method, by which recipe with which changes."""

    name: str
    method: str
    recipe: str = "best"
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def text(self) -> str:
        """The method as a run names it."""
        return f"{self.method}[weights={self.name}]"


def networks() -> list[Network]:
    """All of them, those that the main contrasts need first."""
    found = []
    for seed in (1, 2):
        for method in ("unet", "masked-unet"):
            short = "masked" if method == "masked-unet" else "plain"
            found.append(Network(f"masking-gaussian-{short}-{seed}", method, "best", ONE_LEVEL | {"seed": seed}))
            found.append(Network(f"masking-mixed-{short}-{seed}", method, "mixed", {"seed": seed}))
    for ratio in RATIOS:
        mask = {"mask": {"start": ratio, "end": ratio}, "seed": 1}
        found.append(Network(f"masking-ratio-{ratio:g}", "masked-unet", "best", ONE_LEVEL | mask))
    return [*found, Network("masking-article", "masked-unet", "article", {"seed": 1})]


def main() -> None:
    """Train, run, or make the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "run", "page"))
    parser.add_argument("--steps", type=int, default=STEPS, help="of our recipes; the article's gets as many pixels")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--share", default="1/1", help="PART/PARTS of the networks, as 1/2")
    parser.add_argument("--images", default="", help="only these of Set12, by comma: to rehearse")
    parser.add_argument("--show", action="store_true", help="print the page, and leave the files alone")
    asked = parser.parse_args()
    if asked.what == "train":
        train(asked)
    elif asked.what == "run":
        images = [image for image in asked.images.split(",") if image]
        api.run(
            methods=[network.text for network in networks()], noise=list(TESTS), dataset="set12", images=images,
            timing=False, keep_images="none", out=RUN,
        )  # fmt: skip
    else:
        write_page(show=asked.show)


def train(asked: argparse.Namespace) -> None:
    """Train this share of the networks; those that are there with as many steps are left alone."""
    part, parts = map(int, asked.share.split("/"))
    for network in networks()[part - 1 :: parts]:
        steps = _steps(network, asked.steps)
        if (card := _card(network)) and card.steps == steps:
            print(f"{network.name} is there already", flush=True)
            continue
        made = api.train(
            network.method, recipe=network.recipe, steps=steps, changes=network.changes, name=network.name,
            device=asked.device, threads=asked.threads,
        )  # fmt: skip
        print(f"{network.name}: {made.card.minutes:.1f} minutes, {made.card.validation_psnr} dB", flush=True)


def _steps(network: Network, steps: int) -> int:
    """As many steps as give this network the pixels that `steps` of our recipe give ours."""
    known = registry.load()
    ours, its = (
        recipes.named(recipes.trainable_of(known.denoisers[method]).recipes, recipe)
        for method, recipe in (("masked-unet", "best"), (network.method, network.recipe))
    )
    return max(1, round(steps * ours.batch * ours.crop**2 / (its.batch * its.crop**2)))


def _card(network: Network) -> Card | None:
    found = {each.name: each for each in weights.trained(network.method)}
    return found[network.name].card if network.name in found else None


# -- the page --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scores:
    """The scores of the run: metric → (noises, methods, images, seeds), with the names along the first two."""

    noises: tuple[str, ...]
    methods: tuple[str, ...]
    values: Mapping[str, np.ndarray]

    def of(self, metric: str, noise: str, name: str) -> np.ndarray:
        """One network's scores under one noise, by image (its noise seeds averaged)."""
        method = next(index for index, text in enumerate(self.methods) if f"weights={name}]" in text)
        found: np.ndarray = self.values[metric][self.noises.index(noise), method].mean(axis=1)
        return found


@dataclass(frozen=True, slots=True)
class Contrast:
    """Masked less plain under one test noise: means, the difference's statistics, and each training seed's own."""

    noise: str
    plain: float
    masked: float
    pair: Pair
    by_seed: tuple[float, ...]
    others: Mapping[str, float]  # the differences of the other metrics

    @property
    def clear(self) -> bool:
        """Whether chance is ruled out: over the images after correction, and both training seeds agree."""
        return self.pair.significant and len({value > 0 for value in self.by_seed}) == 1


def write_page(*, show: bool) -> None:
    """Make page and plots, or print the page."""
    found = api.open_run(RUN)
    read = cube.read(found.store, found.run)
    known = registry.load()
    tests = [known.noise(text).text for text in TESTS]
    scores = Scores(read.noises, read.methods, read.values)
    contrasts = {kind: contrast(scores, kind, tests) for kind in ("gaussian", "mixed")}
    page = "\n\n".join(_page(found, scores, contrasts)) + "\n"
    if show:
        print(page)
        return
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    draw_contrasts(contrasts, PAGE.with_name("masking-contrasts.svg"))
    draw_ratios(scores, PAGE.with_name("masking-ratios.svg"))
    PAGE.write_text(page, encoding="utf-8")
    print(PAGE)


def contrast(scores: Scores, kind: str, tests: Sequence[str]) -> list[Contrast]:
    """masked-unet less unet, both trained on `kind`, under every test noise; the two training seeds are kept apart."""
    plain = {noise: _seeds(scores, "psnr", noise, f"masking-{kind}-plain") for noise in tests}
    masked = {noise: _seeds(scores, "psnr", noise, f"masking-{kind}-masked") for noise in tests}
    differences = [masked[noise] - plain[noise] for noise in tests]  # (images, training seeds)
    pairs = paired.compare([("masked-unet", "unet")] * len(tests), differences, 1, TIE)
    return [
        Contrast(
            noise, float(plain[noise].mean()), float(masked[noise].mean()), pair, tuple(map(float, gap.mean(axis=0))),
            {metric: _gap(scores, metric, noise, kind) for metric in METRICS[1:]},
        )
        for noise, pair, gap in zip(tests, pairs, differences, strict=True)
    ]  # fmt: skip


def _gap(scores: Scores, metric: str, noise: str, kind: str) -> float:
    """The mean difference of a metric, masked less plain."""
    masked, plain = (_seeds(scores, metric, noise, f"masking-{kind}-{side}") for side in ("masked", "plain"))
    return float((masked - plain).mean())


def _seeds(scores: Scores, metric: str, noise: str, stem: str) -> np.ndarray:
    """(images, training seeds) of one network."""
    return np.stack([scores.of(metric, noise, f"{stem}-{seed}") for seed in (1, 2)], axis=1)


def _page(found: Results, scores: Scores, contrasts: Mapping[str, Sequence[Contrast]]) -> Iterator[str]:
    cards = {network.name: _card(network) for network in networks()}
    if (first := cards["masking-gaussian-masked-1"]) is None:
        raise SystemExit("train the networks first.")
    yield HEAD
    yield _facts(found, cards)
    yield "## Verdict"
    yield from (textwrap.fill(text, 118) for text in _verdict(scores, contrasts))
    yield "![PSNR of masked-unet less that of unet, by test noise](masking-contrasts.svg)"
    yield "## Trained on Gaussian noise of sigma 25"
    yield _table(contrasts["gaussian"])
    yield "## Trained on mixed noise"
    yield (
        "Photon, read-out and impulse noise together, sigma 5 to 50, peak 20 to 120, up to a tenth impulses: the\n"
        "recipe `mixed`."
    )
    yield _table(contrasts["mixed"])
    yield "## How much to hide"
    yield (
        "One network for each share, trained on Gaussian noise of sigma 25, one seed; mean PSNR in dB. Every ninth\n"
        "step and the last tenth hide nothing, as in the recipe `best`, which goes from 0.2 to 0.3."
    )
    yield _ratio_table(scores)
    yield "![Mean PSNR against the share of hidden pixels](masking-ratios.svg)"
    yield "## The article's recipe beside ours"
    yield _article(scores, cards)
    yield "## Networks"
    yield _cards_table(cards)
    yield FOOT.format(steps=first.steps)


def _facts(found: Results, cards: Mapping[str, Card | None]) -> str:
    known = [card for card in cards.values() if card]
    versions = " · ".join(f"{name} {version}" for name, version in known[0].packages.items())
    facts = found.run.facts
    return (
        f"{len(known)} networks on {', '.join(sorted({card.device for card in known}))}, "
        f"{sum(card.minutes for card in known):.0f} minutes of training in all · {facts['dataset']}, "
        f"{len(facts['images'])} images, protocol {facts['protocol']} · {versions}"
    )


def _verdict(scores: Scores, contrasts: Mapping[str, Sequence[Contrast]]) -> Iterator[str]:
    for kind, trained in (("gaussian", "Gaussian noise of sigma 25"), ("mixed", "mixed noise")):
        rows = contrasts[kind]
        helped = [row for row in rows if row.clear and row.pair.difference > 0]
        hurt = [row for row in rows if row.clear and row.pair.difference < 0]
        open_ = [row for row in rows if not row.clear]
        found = [("masking helps", helped), ("it hurts", hurt), ("no difference is proven", open_)]
        said = "; ".join(f"{what} under {_listed(those)}" for what, those in found if those)
        yield f"**Trained on {trained}:** {said}."
    best = max((row for rows in contrasts.values() for row in rows if row.clear), key=lambda row: row.pair.difference,
               default=None)  # fmt: skip
    if best is None or best.pair.difference <= 0:
        yield "Nowhere is masking shown to help."
    yield (
        "A difference counts as proven where Wilcoxon's signed-rank test over the images, corrected by Holm over the "
        "test noises, gives p ≤ 0.05, and the two training seeds agree on its sign. Two seeds say little of how much "
        "trainings differ among themselves: the column of seeds shows it."
    )


def _listed(rows: Sequence[Contrast]) -> str:
    return ", ".join(f"`{row.noise}` ({_signed(row.pair.difference)} dB)" for row in rows)


def _signed(value: float | None, digits: int = 2) -> str:
    """A difference with its sign, never a negative zero; a dash where too few images give none."""
    return "–" if value is None else f"{round(value, digits) + 0.0:+.{digits}f}"


def _table(rows: Sequence[Contrast]) -> str:
    heads = ["test noise", "unet, dB", "masked-unet, dB", "Δ dB", "95 %", "seeds", "p (Holm)", "Δ SSIM", "Δ LPIPS"]
    lines = [
        [
            f"`{row.noise}`", f"{row.plain:.2f}", f"{row.masked:.2f}",
            f"**{_signed(row.pair.difference)}**" if row.clear else _signed(row.pair.difference),
            f"{_signed(row.pair.low)} to {_signed(row.pair.high)}", " / ".join(map(_signed, row.by_seed)),
            "–" if row.pair.p_holm is None else f"{row.pair.p_holm:.3f}",
            *(_signed(row.others[metric], 4) for metric in METRICS[1:]),
        ]
        for row in rows
    ]  # fmt: skip
    return _grid(heads, lines)


def _ratio_names() -> list[tuple[str, str]]:
    """The swept shares of hidden pixels, and the networks that were trained with them."""
    swept = [(0.0, "0", "masking-gaussian-plain-1"), (0.25, "0.2 to 0.3", "masking-gaussian-masked-1")]
    swept += [(ratio, f"{ratio:g}", f"masking-ratio-{ratio:g}") for ratio in RATIOS]
    return [(text, name) for _, text, name in sorted(swept)]


def _ratio_tests() -> list[str]:
    known = registry.load()
    return [known.noise(text).text for text in RATIO_TESTS]


def _ratio_table(scores: Scores) -> str:
    tests = _ratio_tests()
    lines = [
        [text, *(f"{scores.of('psnr', noise, name).mean():.2f}" for noise in tests)] for text, name in _ratio_names()
    ]
    return _grid(["hidden", *(f"`{noise}`" for noise in tests)], lines)


def _article(scores: Scores, cards: Mapping[str, Card | None]) -> str:
    known = registry.load()
    article, ours = (cards[name] for name in ("masking-article", "masking-mixed-masked-1"))
    if article is None or ours is None:
        raise SystemExit("train the networks first.")
    rows = (("masking-article", "`article`"), ("masking-mixed-masked-1", "`mixed`"))
    tests = [known.noise(text).text for text in TESTS]
    lines = [[f"`{noise}`", *(f"{scores.of('psnr', noise, name).mean():.2f}" for name, _ in rows)] for noise in tests]
    words = (
        f"The same masked network, trained on as many pixels: {article.steps} steps of the recipe `article` (the "
        "article's mixture at one level, squared error, AdamW, no averaging of weights, pixels hidden in every step) "
        f"and {ours.steps} of `mixed`. Mean PSNR in dB."
    )
    table = _grid(["test noise", *(text for _, text in rows)], lines)
    return f"{textwrap.fill(words, 118)}\n\n{table}\n\n{textwrap.fill(_unhidden('masking-article'), 118)}"


def _unhidden(name: str) -> str:
    """What a network that never saw a whole image makes of one, and of one like those that it was trained on."""
    seen = {share: _shown(name, share) for share in (0.0, 0.3)}
    (psnr, brightness), (hidden_psnr, hidden_brightness) = seen.values()
    return (
        "The article's network never saw an image with nothing hidden, which is what every test gives it. Under "
        f"Gaussian noise of sigma 25 such images come out {brightness:.2f} times as bright as the clean ones, at "
        f"{psnr:.2f} dB; with 30 % of their pixels hidden, as in its training, {hidden_brightness:.2f} times, at "
        f"{hidden_psnr:.2f} dB."
    )


def _shown(name: str, share: float) -> tuple[float, float]:
    """Mean PSNR on Set12 at sigma 25 and mean brightness over that of the clean images, with a share hidden."""
    import torch

    known = registry.load()
    spec, images = known.denoisers["masked-unet"], known.datasets["set12"]
    found = weights.find(spec, name)
    network = recipes.trainable_of(spec).network(blind=found.card.blind, **found.card.options)
    network.load_state_dict(weights.load_state(found))
    rng, psnrs, brightness = torch.Generator().manual_seed(0), [], []
    for image in images.images:
        clean = torch.from_numpy(np.array(images.load(image)))[None, None]
        noisy = clean + 25 / 255 * torch.randn(clean.shape, generator=rng)
        mask = (torch.rand(clean.shape, generator=rng) < share).float()
        with torch.inference_mode():
            output = network.eval()(noisy, None, mask).clamp(0, 1)
        psnrs.append(-10 * float((output - clean).square().mean().log10()))
        brightness.append(float(output.mean() / clean.mean()))
    return float(np.mean(psnrs)), float(np.mean(brightness))


def _cards_table(cards: Mapping[str, Card | None]) -> str:
    lines = [
        [f"`{name}`", str(card.steps), f"{card.minutes:.1f}", f"{card.validation_psnr:.2f}", _hidden(card)]
        for name, card in cards.items()
        if card and card.validation_psnr is not None
    ]
    return _grid(["network", "steps", "minutes", "validation, dB", "hidden"], lines)


def _hidden(card: Card) -> str:
    """How much of the pixels is hidden, of all that the card says about the mask."""
    if not card.mask:
        return "–"
    return card.mask.partition(" of the pixels")[0] + card.mask.partition("at first")[2].partition(", in squares")[0]


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# -- the plots -------------------------------------------------------------------------------------------------------


def draw_contrasts(contrasts: Mapping[str, Sequence[Contrast]], path: Path) -> None:
    """Differences with their intervals by test noise, one row for each; seeds as small marks."""
    figure, axes = _figure(7.6, 4.6)
    noises = [row.noise for row in contrasts["gaussian"]]
    for (kind, rows), colour, shift in zip(contrasts.items(), (BLUE, ORANGE), (-0.16, 0.16), strict=True):
        places = [index + shift for index in range(len(rows))]
        middle = [row.pair.difference for row in rows]
        low = [row.pair.difference - (row.pair.low or 0) for row in rows]
        high = [(row.pair.high or 0) - row.pair.difference for row in rows]
        label = "trained on Gaussian, sigma 25" if kind == "gaussian" else "trained on mixed noise"
        axes.errorbar(middle, places, xerr=[low, high], fmt="o", color=colour, capsize=3, markersize=5, label=label)
        for seed in range(2):
            axes.plot([row.by_seed[seed] for row in rows], places, "|", color=colour, markersize=9, alpha=0.6)
    axes.axvline(0, color=GRAY, linewidth=1)
    axes.set_yticks(range(len(noises)), noises)
    axes.invert_yaxis()
    axes.set_xlabel("PSNR of masked-unet less that of unet, dB\n95 % over images; strokes: each training seed")
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    _save(figure, path)


def draw_ratios(scores: Scores, path: Path) -> None:
    """Change of the mean PSNR against the share of hidden pixels, a line for each test noise."""
    figure, axes = _figure(7.6, 3.6)
    names = _ratio_names()
    for noise, style in zip(_ratio_tests(), ("o-", "s--", "^-.", "d:"), strict=True):
        means = np.array([scores.of("psnr", noise, name).mean() for _, name in names])
        axes.plot(range(len(names)), means - means[0], style, label=noise, markersize=5)
    axes.axhline(0, color=GRAY, linewidth=1)
    axes.set_xticks(range(len(names)), [text for text, _ in names])
    axes.set_xlabel("share of hidden pixels")
    axes.set_ylabel("change against unet, dB")
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)
    _save(figure, path)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "mdnbench"}):  # the same file from the same figures
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()

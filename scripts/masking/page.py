"""Make the page of the experiment: its tables and its verdict, from the store and the weights' cards alone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from masking import plots
from masking.networks import RATIOS, card_of, networks
from masking.scores import METRICS, Contrast, Scores, contrast
from mdnbench import api, registry, weights
from mdnbench.results import Results
from mdnbench.store import score_array
from mdnbench.training import recipe as recipes
from mdnbench.weights import Card

PAGE = Path(__file__).resolve().parents[2] / "docs" / "experiments" / "masking.md"
RUN = "masking"
TESTS = (
    "gaussian:15", "gaussian:25", "gaussian:50", "gaussian:75", "poisson:30", "salt-pepper:0.05", "speckle:50",
    "correlated:sigma=25,width=3", "mixed:sigma=25,peak=60,density=0.05",
)  # fmt: skip
RATIO_TESTS = ("gaussian:25", "gaussian:50", "salt-pepper:0.05", "mixed:sigma=25,peak=60,density=0.05")

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


def write_page(*, show: bool) -> None:
    """Write the page and its plots, or only print the page."""
    found = api.open_run(RUN)
    read = score_array.read(found.store, found.run)
    known = registry.load()
    tests = [known.noise(text).text for text in TESTS]
    scores = Scores(read.noises, read.methods, read.values)
    contrasts = {kind: contrast(scores, kind, tests) for kind in ("gaussian", "mixed")}
    page = "\n\n".join(_page(found, scores, contrasts)) + "\n"
    if show:
        print(page)
        return
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    plots.draw_contrasts(contrasts, PAGE.with_name("masking-contrasts.svg"))
    plots.draw_ratios(scores, _ratio_names(), _ratio_tests(), PAGE.with_name("masking-ratios.svg"))
    PAGE.write_text(page, encoding="utf-8")
    print(PAGE)


def _page(found: Results, scores: Scores, contrasts: Mapping[str, Sequence[Contrast]]) -> Iterator[str]:
    cards = {network.name: card_of(network) for network in networks()}
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
        f"{sum(card.minutes for card in known):.0f} minutes of training in all · {facts.dataset}, "
        f"{len(facts.images)} images, protocol {facts.protocol} · {versions}"
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
    """Return a difference with its sign, without a negative zero; a dash if too few images give none."""
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
    """Return the tested shares of hidden pixels, and the names of the networks that were trained with them."""
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
    """Return in words how a network that never saw a whole image denoises whole images and partly hidden ones."""
    seen = {share: _shown(name, share) for share in (0.0, 0.3)}
    (psnr, brightness), (hidden_psnr, hidden_brightness) = seen.values()
    return (
        "The article's network never saw an image with nothing hidden, which is what every test gives it. Under "
        f"Gaussian noise of sigma 25 such images come out {brightness:.2f} times as bright as the clean ones, at "
        f"{psnr:.2f} dB; with 30 % of their pixels hidden, as in its training, {hidden_brightness:.2f} times, at "
        f"{hidden_psnr:.2f} dB."
    )


def _shown(name: str, share: float) -> tuple[float, float]:
    """Return two means over Set12 at sigma 25 with a share of the pixels hidden.

    They are the PSNR in dB, and the brightness of the outputs divided by that of the clean images.
    """
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
    """Return the share of hidden pixels from what the card records about the mask."""
    if not card.mask:
        return "–"
    return card.mask.partition(" of the pixels")[0] + card.mask.partition("at first")[2].partition(", in squares")[0]


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

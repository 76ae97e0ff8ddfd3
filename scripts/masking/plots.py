"""Draw the plots: the contrasts by test noise, and PSNR against the share of hidden pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from masking.scores import Contrast, Scores

BLUE, ORANGE, GRAY = "#2563a8", "#c2570c", "#777777"


def draw_contrasts(contrasts: Mapping[str, Sequence[Contrast]], path: Path) -> None:
    """Draw the differences with their intervals, a row for each test noise, and a small mark for each training seed."""
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


def draw_ratios(scores: Scores, names: Sequence[tuple[str, str]], tests: Sequence[str], path: Path) -> None:
    """Draw the change of the mean PSNR against the share of hidden pixels, with a line for each test noise.

    Args:
        scores: The scores of the run.
        names: The shares as texts, and the names of their networks.
        tests: The test noises.
        path: The file to write.
    """
    figure, axes = _figure(7.6, 3.6)
    for noise, style in zip(tests, ("o-", "s--", "^-.", "d:"), strict=True):
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

    with matplotlib.rc_context({"svg.hashsalt": "mdnbench"}):  # makes the same file from the same figures
        figure.savefig(path, metadata={"Date": None})

"""Test whether hiding pixels in training helps, and write docs/experiments/masking.md.

Usage: masking_experiment.py train [--steps 3000] [--device cpu] [--threads 1] [--share 1/2]
       masking_experiment.py run [--images 01,02]
       masking_experiment.py page [--show]

`train` trains each of the thirteen networks once; two calls with --share 1/2 and --share 2/2 divide them. `run`
denoises Set12 under every test noise. `page` makes the page and its plots from the store and the weights' cards alone.
"""

from __future__ import annotations

import argparse

from masking.networks import card_of, networks, steps_of
from masking.page import RUN, TESTS, write_page

from mdnbench import api

STEPS = 3000


def main() -> None:
    """Train the networks, test them on Set12, or make the page."""
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
    """Train this share of the networks, except for those that are already trained with as many steps."""
    part, parts = map(int, asked.share.split("/"))
    for network in networks()[part - 1 :: parts]:
        steps = steps_of(network, asked.steps)
        if (card := card_of(network)) and card.steps == steps:
            print(f"{network.name} is there already", flush=True)
            continue
        made = api.train(
            network.method, recipe=network.recipe, steps=steps, changes=network.changes, name=network.name,
            device=asked.device, threads=asked.threads,
        )  # fmt: skip
        print(f"{network.name}: {made.card.minutes:.1f} minutes, {made.card.validation_psnr} dB", flush=True)


if __name__ == "__main__":
    main()

"""The rules of data sets: every image is as declared, and is the same each time it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mdnbench import data
from mdnbench.data import checks
from mdnbench.errors import Unavailable
from mdnbench.testing.rules.contract import CITATION, LICENCE
from mdnbench.testing.rules.rule import Rule, RuleBroken
from mdnbench.util.digests import of_parts, of_pixels

if TYPE_CHECKING:
    from mdnbench.spec.specs import DatasetSpec, Image

FEW = 3  # how many images are loaded: the first, the middle and the last


@dataclass(frozen=True, slots=True)
class DatasetSubject:
    """A data set's spec."""

    spec: DatasetSpec

    def images(self) -> list[str]:
        """Return the names of a few images. Raise Unavailable if the files are not on this machine."""
        if not data.at_hand(self.spec):
            raise Unavailable(f"its files are not here; `mdnbench data fetch {self.spec.name}` gets them.")
        names = self.spec.images
        return list(dict.fromkeys((names[0], names[len(names) // 2], names[-1])))[:FEW] if names else []

    def fingerprint(self) -> str:
        """Return a digest of a few images."""
        return of_parts(*(of_pixels(self.spec.load(name)) for name in self.images()))


def loads(dataset: DatasetSubject) -> None:
    """Its images have different names, and are float32 in [0, 1], gray or colour as declared."""
    names = dataset.spec.images
    if not names or len(set(names)) < len(names):
        raise RuleBroken("at least one image, each with a name of its own", f"{list(names)[:8]}", "correct `images`.")
    for name in dataset.images():
        _check(name, dataset.spec.load(name), dataset.spec.channels)


def _check(name: str, image: Any, channels: int) -> None:
    if found := checks.fault(image, channels):
        expected, got = found
        raise RuleBroken(f"{expected} for {name!r}", got, checks.FIX)


def repeats(dataset: DatasetSubject) -> None:
    """An image is the same each time it is loaded, even if the caller changed the array of the last time."""
    name = dataset.images()[0]
    first: Image = dataset.spec.load(name)
    kept = first.copy()
    if first.flags.writeable:
        first[...] = 0
    if not np.array_equal(kept, dataset.spec.load(name)):
        raise RuleBroken(
            f"the same image {name!r} again after the first one was written to",
            "another one",
            "give a copy each time, and draw nothing at random.",
        )


RULES = (LICENCE, CITATION, Rule("dataset-images", loads, gate=True), Rule("dataset-twice", repeats, gate=True))

"""Find a run's clean, noisy and denoised images, or compute them again; each is verified by its digest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mdnbench import data, registry
from mdnbench.data import folders
from mdnbench.errors import MdnbenchError, TookTooLong
from mdnbench.evaluation import cases
from mdnbench.store import stored_images
from mdnbench.util.digests import of_pixels

if TYPE_CHECKING:
    from mdnbench.evaluation.protocols import ImageRule
    from mdnbench.registry import Registry
    from mdnbench.results.run_data import RunData
    from mdnbench.spec.specs import Image
    from mdnbench.store import CellRow

    Levels: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"

CLEAN, NOISY = "clean", "noisy"


@dataclass(frozen=True, slots=True)
class ImageCase:
    """A case of a run: the names of its image and noise, and the digests by which its pixels are found."""

    noise: str
    image: str
    image_digest: str
    case: str
    noisy_digest: str

    @classmethod
    def of(cls, row: CellRow) -> ImageCase:
        """Return the case of a cell."""
        return cls(row.noise, row.image, row.image_digest, row.case, row.noisy_digest)


class ImageSource:
    """A source of a run's images, which it converts to 8 bits for display, prepared as they were scored."""

    def __init__(self, results: RunData) -> None:
        self._results = results
        self._clean = lru_cache(maxsize=8)(self._load_clean)

    @property
    def rule(self) -> ImageRule:
        """The scoring rule of the run."""
        return self._results.run.facts.rules.scoring

    def clean(self, subject: ImageCase) -> Image | None:
        """Return the clean image from the data set; None if it is not available or its pixels have changed."""
        return self._clean(subject.image, subject.image_digest)

    def noisy(self, subject: ImageCase) -> Image | None:
        """Return the noisy image; None if it is not available.

        It is loaded if the run kept it as the output of a method. Otherwise it is computed again, bit for bit.
        """
        found = self.output(subject.noisy_digest)
        clean = self.clean(subject) if found is None else None
        return self._made_again(clean, subject) if clean is not None else found

    def output(self, digest: str) -> Image | None:
        """Return a method's output by its digest; None if it was not kept or its file has changed."""
        return stored_images.load(self._results.store.images, digest) if digest else None

    def levels(self, image: Image) -> Levels:
        """Return an image as 8-bit levels, clamped and without its border as for scoring."""
        scored = self.rule.crop(self.rule.apply(image))
        return np.rint(np.clip(scored, 0, 1) * 255).astype(np.uint8)

    def _load_clean(self, image: str, digest: str) -> Image | None:
        """Return a clean image; None if it cannot be loaded or has another digest."""
        try:
            pixels = self._load(image) if self._load else None
        except TookTooLong:  # it would for the next image too
            raise
        except (MdnbenchError, KeyError):
            return None
        return pixels if pixels is not None and of_pixels(pixels) == digest else None

    def _made_again(self, clean: Image, subject: ImageCase) -> Image | None:
        """Compute the noisy image again under the run's input rule; return None if its digest differs."""
        try:
            named = self._registry.noise(subject.noise)
            spec = self._registry.noises[named.name]
        except MdnbenchError:
            return None
        rule = self._results.run.facts.rules.input
        case = cases.make(clean, subject.case, named, spec, rule, "withheld")
        return case.noisy if case.noisy_digest == subject.noisy_digest else None

    @cached_property
    def _registry(self) -> Registry:
        """The plugins of the run."""
        return registry.load(self._results.plugins)

    @cached_property
    def _load(self) -> Any:
        """The function that loads a clean image of the run's data set; None if the data are not on this machine."""
        facts = self._results.run.facts
        if facts.dataset_folder:
            found = folders.find(facts.dataset_folder)
            return found.load if found else None
        spec = self._registry.datasets.get(facts.dataset)
        return spec.load if spec and data.at_hand(spec) else None

"""Scenes: what there is to look at of one image under one noise, as 8-bit pictures of what was scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mdnbench import data, protocols, registry
from mdnbench.cells import cases
from mdnbench.data import folders
from mdnbench.digests import of_pixels
from mdnbench.errors import MdnbenchError
from mdnbench.protocols import Rule
from mdnbench.store import kept
from mdnbench_reports import scores as scores_module

if TYPE_CHECKING:
    import numpy as np

    from mdnbench.registry import Registry
    from mdnbench.results import Results
    from mdnbench.specs import Image
    from mdnbench_reports.scores import Scores

    Levels: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"

CLEAN, NOISY = "clean", "noisy"
EIGHT_BIT = Rule(clamp=True, bits=8)


@dataclass(slots=True)
class Scene:
    """A shot under a noise, and the digests by which its images are found; `outputs` by the method's index."""

    noise: int
    shot: int
    image: str
    image_digest: str
    case: str
    noisy_digest: str
    outputs: dict[int, str] = field(default_factory=dict)


def worst_first(results: Results, scores: Scores, most: int) -> list[list[Scene]]:
    """For each noise its scenes with at least one kept output, hardest first; at most `most` for each noise."""
    wanted = [scores.worst_first(noise) for noise in range(len(scores.noises))]
    found: dict[tuple[int, int], Scene] = {}
    for (noise, shot, method), row in scores_module.placed(results, scores.noises, scores.shots, scores.methods):
        if row.output_digest and kept.path_of(results.store.images, row.output_digest).is_file():
            scene = found.get((noise, shot))
            if scene is None:
                scene = Scene(noise, shot, row.image, row.image_digest, row.case, row.noisy_digest)
                found[noise, shot] = scene
            scene.outputs[method] = row.output_digest
    return [[found[n, shot] for shot in order if (n, shot) in found][:most] for n, order in enumerate(wanted)]


class Darkroom:
    """Develops scenes: finds or re-makes their images, holds each to its digest, and brings them to 8 bits."""

    def __init__(self, results: Results, noises: Sequence[str]) -> None:
        self._results = results
        self._noises = noises
        self._clean = lru_cache(maxsize=8)(self._load_clean)

    @cached_property
    def rule(self) -> Rule:
        """The scoring rule of the run, where a known protocol has it; else clamped and rounded to 8 bits."""
        digest = self._results.run.facts["scoring_rule"]
        rules = (protocol.scoring for protocol in protocols.known().values())
        return next((rule for rule in rules if rule.digest == digest), EIGHT_BIT)

    def develop(self, scene: Scene) -> dict[str, tuple[str, Levels]]:
        """The pictures of a scene by source (`clean`, `noisy`, a method's index): digest and levels, those at hand."""
        images = {CLEAN: (scene.image_digest, self._clean(scene.image, scene.image_digest))}
        images[NOISY] = (scene.noisy_digest, self._noisy(scene))
        for method, digest in scene.outputs.items():
            images[str(method)] = (digest, kept.load(self._results.store.images, digest))
        return {
            source: (digest, self._levels(image)) for source, (digest, image) in images.items() if image is not None
        }

    def _levels(self, image: Image) -> Levels:
        """An image as it was scored: clamped, its border cut, and in 8 bits."""
        import numpy as np

        scored = self.rule.crop(self.rule.apply(image))
        return np.rint(np.clip(scored, 0, 1) * 255).astype(np.uint8)

    def _noisy(self, scene: Scene) -> Image | None:
        """The noisy image: kept as a method's output, or made again to the same bits."""
        found = kept.load(self._results.store.images, scene.noisy_digest)
        clean = self._clean(scene.image, scene.image_digest) if found is None else None
        return _made_again(clean, scene, self._noises[scene.noise], self._registry) if clean is not None else found

    def _load_clean(self, image: str, digest: str) -> Image | None:
        try:
            pixels = self._load(image) if self._load else None
        except (MdnbenchError, KeyError):
            return None
        return pixels if pixels is not None and of_pixels(pixels) == digest else None

    @cached_property
    def _registry(self) -> Registry:
        return registry.load(self._results.plugins)

    @cached_property
    def _load(self) -> Any:
        """What loads a clean image of the run's data set; None where the data are not on this machine."""
        facts: Mapping[str, Any] = self._results.run.facts
        folder = facts.get("dataset_folder", "")
        if folder:
            return folders.folder_dataset(Path(folder)).load if Path(folder).is_dir() else None
        spec = self._registry.datasets.get(facts["dataset"])
        return spec.load if spec and data.at_hand(spec) else None


def _made_again(clean: Image, scene: Scene, noise: str, known: Registry) -> Image | None:
    try:
        named = known.noise(noise)
        spec = known.noises[named.name]
    except MdnbenchError:
        return None
    for rule in _input_rules():
        case = cases.make(clean, scene.case, named, spec, rule, "withheld")
        if case.noisy_digest == scene.noisy_digest:
            return case.noisy
    return None


def _input_rules() -> Iterator[Rule]:
    """The input rules that a noisy image may have been made under, each once."""
    yield from {protocol.input.digest: protocol.input for protocol in protocols.known().values()}.values()

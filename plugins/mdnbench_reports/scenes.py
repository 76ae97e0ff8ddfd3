"""Scenes: what there is to look at of one image under one noise, as 8-bit pictures of what was scored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mdnbench.results import image_source
from mdnbench.results.image_source import CLEAN, NOISY, ImageCase
from mdnbench.store import stored_images
from mdnbench_reports import scores as scores_module

if TYPE_CHECKING:
    from mdnbench.results import Results
    from mdnbench.results.image_source import Levels
    from mdnbench_reports.scores import Scores


@dataclass(slots=True)
class Scene:
    """A case under a noise, by their indices, and the digests by which its images are found; `outputs` by method."""

    noise: int
    case: int
    subject: ImageCase
    outputs: dict[int, str] = field(default_factory=dict)


def worst_first(results: Results, scores: Scores, most: int) -> list[list[Scene]]:
    """For each noise its scenes with at least one kept output, hardest first; at most `most` for each noise."""
    wanted = [scores.worst_first(noise) for noise in range(len(scores.noises))]
    found: dict[tuple[int, int], Scene] = {}
    for (noise, case, method), row in scores_module.placed(results, scores.noises, scores.cases, scores.methods):
        if stored_images.is_here(results.store.images, row.output_digest):
            scene = found.setdefault((noise, case), Scene(noise, case, ImageCase.of(row)))
            scene.outputs[method] = row.output_digest
    return [[found[n, case] for case in order if (n, case) in found][:most] for n, order in enumerate(wanted)]


class SceneImages(image_source.ImageSource):
    """Develops scenes: finds or re-makes their images, holds each to its digest, and brings them to 8 bits."""

    def develop(self, scene: Scene) -> dict[str, tuple[str, Levels]]:
        """The pictures of a scene by source (`clean`, `noisy`, a method's index): digest and levels, those at hand."""
        subject = scene.subject
        images = {CLEAN: (subject.image_digest, self.clean(subject))}
        images[NOISY] = (subject.noisy_digest, self.noisy(subject))
        for method, digest in scene.outputs.items():
            images[str(method)] = (digest, self.output(digest))
        return {source: (digest, self.levels(image)) for source, (digest, image) in images.items() if image is not None}

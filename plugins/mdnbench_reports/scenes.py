"""Scenes: the available images of one case under one noise, as 8-bit pictures prepared as they were scored."""

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
    """A case under a noise.

    Attributes:
        noise: The index of the noise.
        case: The index of the case.
        subject: The names and digests by which its images are found.
        outputs: The digest of each method's output, by the method's index.

    """

    noise: int
    case: int
    subject: ImageCase
    outputs: dict[int, str] = field(default_factory=dict)


def worst_first(results: Results, scores: Scores, most: int) -> list[list[Scene]]:
    """Return for each noise at most `most` scenes with at least one kept output, hardest first."""
    wanted = [scores.worst_first(noise) for noise in range(len(scores.noises))]
    found: dict[tuple[int, int], Scene] = {}
    for (noise, case, method), row in scores_module.placed(results, scores.noises, scores.cases, scores.methods):
        if stored_images.is_here(results.store.images, row.output_digest):
            scene = found.setdefault((noise, case), Scene(noise, case, ImageCase.of(row)))
            scene.outputs[method] = row.output_digest
    return [[found[n, case] for case in order if (n, case) in found][:most] for n, order in enumerate(wanted)]


class SceneImages(image_source.ImageSource):
    """A source of the pictures of scenes: images found or computed again, verified by digest, in 8 bits."""

    def develop(self, scene: Scene) -> dict[str, tuple[str, Levels]]:
        """Return the available pictures of a scene.

        Returns:
            Digest and levels by source, which is `clean`, `noisy` or a method's index.

        """
        subject = scene.subject
        images = {CLEAN: (subject.image_digest, self.clean(subject))}
        images[NOISY] = (subject.noisy_digest, self.noisy(subject))
        for method, digest in scene.outputs.items():
            images[str(method)] = (digest, self.output(digest))
        return {source: (digest, self.levels(image)) for source, (digest, image) in images.items() if image is not None}

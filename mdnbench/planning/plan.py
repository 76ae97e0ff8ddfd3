"""A plan: what a run computes, on which data and under which rules. Its cells and their keys are made when needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mdnbench import weights
from mdnbench.evaluation.protocols import Protocol
from mdnbench.planning import environment
from mdnbench.planning.request import Request
from mdnbench.registry import Registry, variants
from mdnbench.spec import names
from mdnbench.spec.names import Named
from mdnbench.spec.records import Cell
from mdnbench.spec.specs import DatasetSpec, DenoiserSpec, MetricSpec, NoiseSpec
from mdnbench.util.digests import of_parts
from mdnbench.weights import Weights


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """An image of the plan: its id, its pixel digest, and its shape (H, W) or (H, W, 3)."""

    id: str
    digest: str
    shape: tuple[int, ...]

    @property
    def pixels(self) -> int:
        """Return the number of pixels, which is the measure of the work."""
        return self.shape[0] * self.shape[1]


@dataclass(frozen=True, slots=True)
class PlannedNoise:
    """A noise of the plan and its spec."""

    named: Named
    spec: NoiseSpec


@dataclass(frozen=True, slots=True)
class PlannedMethod:
    """A method under a noise, with the weights to use, the reason to skip it, or the need to train it first."""

    index: int
    named: Named
    spec: DenoiserSpec
    noise: PlannedNoise
    weights: Weights | None
    note: str
    skip: str
    training: bool
    identity: str

    @property
    def packages(self) -> dict[str, str]:
        """Return the installed versions of the distributions that change its output."""
        return environment.versions(variants.packages(self.spec, self.named))


@dataclass(frozen=True)
class Plan:
    """A run, looked up and checked: what to compute, on which data, under which rules."""

    request: Request
    registry: Registry
    dataset: DatasetSpec
    images: tuple[PlannedImage, ...]
    noises: tuple[PlannedNoise, ...]
    methods: tuple[Named, ...]
    protocol: Protocol
    metrics: Mapping[str, MetricSpec]
    device: str
    name: str
    notes: tuple[str, ...] = field(default=())
    tested: tuple[Path, ...] = ()  # the known files of the data set
    untrained: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by method and noise

    @property
    def dataset_digest(self) -> str:
        """Return the digest of all images: the twelve characters that follow the data set's name."""
        return of_parts("dataset", [image.digest for image in self.images])[:12]

    @cached_property
    def works(self) -> tuple[PlannedMethod, ...]:
        """Return every method under every noise, in the plan's order."""
        pairs = [(method, noise) for noise in self.noises for method in self.methods]
        return tuple(self._work(index, method, noise) for index, (method, noise) in enumerate(pairs))

    @property
    def named(self) -> tuple[str, ...]:
        """Return the methods that were requested by name, and not only through `all`."""
        asked = [part for text in self.request.methods for part in names.split_list(text)]
        return tuple(dict.fromkeys(self.registry.method(part).text for part in asked if part != names.ALL))

    @property
    def plugins(self) -> dict[str, str]:
        """Return the plugin of each 'method NAME', 'noise NAME' and 'metric NAME': a module or the name of a file."""
        known = self.registry
        sources = {f"method {named.text}": known.denoisers.entry(named.name).source for named in self.methods}
        sources |= {f"noise {each.named.text}": known.noises.entry(each.named.name).source for each in self.noises}
        sources |= {f"metric {name}": known.metrics.entry(name.partition("[")[0]).source for name in self.metrics}
        return {
            what: source.path.name if source.path else source.value.partition(":")[0]
            for what, source in sources.items()
        }

    @property
    def size(self) -> int:
        """Return the number of cells."""
        return len(self.works) * self.cells_per_work

    @property
    def cells_per_work(self) -> int:
        """Return the number of cells of one method under one noise."""
        return len(self.images) * self.request.seeds

    @property
    def revisions(self) -> dict[str, str]:
        """Return the revisions of the metrics, by name."""
        return {name: spec.revision for name, spec in self.metrics.items()}

    @cached_property
    def _input_rule(self) -> str:
        return self.protocol.input.digest

    @cached_property
    def pixels(self) -> Mapping[str, int]:
        """Return the number of pixels of each image, by id."""
        return {image.id: image.pixels for image in self.images}

    def cells(self, work: PlannedMethod) -> Iterator[tuple[int, Cell]]:
        """Yield a work's cells with their positions in the plan, large images first."""
        start = work.index * self.cells_per_work
        order = sorted(enumerate(self.images), key=lambda pair: -pair[1].pixels)
        for index, image in order:
            for seed in range(self.request.seeds):
                yield start + index * self.request.seeds + seed, self.cell(work, image, seed)

    def cell(self, work: PlannedMethod, image: PlannedImage, seed: int) -> Cell:
        """Return one cell, with its keys."""
        case = self._case_key(work.noise, image, seed)
        return Cell(
            dataset=self.dataset.name,
            image=image.id,
            image_digest=image.digest,
            noise=work.noise.named.text,
            seed=seed,
            method=work.named.text,
            noise_info=self.request.noise_info,
            case=case,
            output=self.output_key(work, case),
        )

    def case_keys(self, noise: PlannedNoise) -> list[str]:
        """Return the keys of all cases under a noise; its methods share them."""
        return [self._case_key(noise, image, seed) for image in self.images for seed in range(self.request.seeds)]

    def scope(self, work: PlannedMethod) -> str:
        """Return the key of a work's manifests, which list the code of a method and a noise."""
        return of_parts("code", work.identity, work.noise.named.text, work.noise.spec.revision)

    def output_key(self, work: PlannedMethod, case: str) -> str:
        """Return the base key of a work's output for a case; it covers all that the output depends on except code."""
        return of_parts("output", case, self._input_rule, work.identity)

    def _case_key(self, noise: PlannedNoise, image: PlannedImage, seed: int) -> str:
        from mdnbench.evaluation import cases  # needs NumPy; who lists names imports this module, too

        return cases.key(image.digest, noise.named, noise.spec.revision, seed)

    def _work(self, index: int, named: Named, noise: PlannedNoise) -> PlannedMethod:
        spec = self.registry.denoisers[named.name]
        skip = _channels_reason(spec, self.dataset, self.images)
        found, note, training = None, "", False
        if spec.trainable:
            resolved = weights.resolve(spec, named, noise.named)
            if resolved is None:
                skip = skip or self.untrained.get((named.text, noise.named.text), "")
                training = not skip
            else:
                found = resolved.weights
                seen = weights.seen(found.card, self.dataset, [image.id for image in self.images])
                note = "; ".join(filter(None, (resolved.note, seen)))
        return PlannedMethod(index, named, spec, noise, found, note, skip, training, self._identity(named, spec, found))

    def _identity(self, named: Named, spec: DenoiserSpec, found: Weights | None) -> str:
        """Return the digest of all that a method's output depends on besides the case; see the page docs/names.md."""
        told = self.request.noise_info if variants.wants(spec, named) != "nothing" else "none"
        options = [*variants.chosen(spec, named), *variants.identity(spec, named)]
        packages = [*map(list, environment.versions(variants.packages(spec, named)).items())]
        digest = found.sha256 if found else ""
        return of_parts(named.name, options, spec.revision, packages, digest, told, self.device)


def _channels_reason(spec: DenoiserSpec, dataset: DatasetSpec, images: tuple[PlannedImage, ...]) -> str:
    channels = {3 if len(image.shape) == 3 else 1 for image in images}
    if channels <= set(spec.channels):
        return ""
    takes = {1: "gray", 3: "colour"}[spec.channels[0]]
    advice = " --gray turns them gray." if takes == "gray" else ""
    return f"{spec.name} takes {takes} images only; {dataset.name} is not all {takes}.{advice}"

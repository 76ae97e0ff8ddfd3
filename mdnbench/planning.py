"""Planning: names, options and files become cells, lazily. Nothing is computed here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import data, names, protocols, variants, weights
from mdnbench.cells import cases
from mdnbench.data import folders, gray, sound
from mdnbench.digests import of_parts, of_pixels
from mdnbench.errors import BadImage, BadOption, BadPlugin, DataMissing, NothingToDo, UnknownName
from mdnbench.guarding import guarded
from mdnbench.names import Named
from mdnbench.protocols import Protocol
from mdnbench.records import Cell
from mdnbench.registry import Registry
from mdnbench.request import Request
from mdnbench.specs import DatasetSpec, DenoiserSpec, MetricSpec, NoiseSpec
from mdnbench.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_CHOICE, SECOND_CHOICE = "set12", "sk12"
LONGEST_SLUG = 80
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """An image of the plan: its id, its pixel digest, and its shape (H, W) or (H, W, 3)."""

    id: str
    digest: str
    shape: tuple[int, ...]

    @property
    def pixels(self) -> int:
        """How many pixels it has: the measure of the work."""
        return self.shape[0] * self.shape[1]


@dataclass(frozen=True, slots=True)
class PlannedNoise:
    """A noise of the plan and its spec."""

    named: Named
    spec: NoiseSpec


@dataclass(frozen=True, slots=True)
class Work:
    """A method under a noise: with which weights, or why it is skipped, or that it must be trained first."""

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
        """The installed versions of what changes its output."""
        return {name: version_of(name) for name in variants.packages(self.spec, self.named)}


@dataclass(frozen=True)
class Plan:
    """A run, looked up and checked: what to compute, on what, under which rules."""

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
    untrained: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by method and noise

    @property
    def dataset_digest(self) -> str:
        """The digest of all images: twelve characters that stand beside the data set's name."""
        return of_parts("dataset", [image.digest for image in self.images])[:12]

    @cached_property
    def works(self) -> tuple[Work, ...]:
        """Every method under every noise, in the plan's order."""
        pairs = [(method, noise) for noise in self.noises for method in self.methods]
        return tuple(self._work(index, method, noise) for index, (method, noise) in enumerate(pairs))

    @property
    def size(self) -> int:
        """The number of cells."""
        return len(self.works) * self.cells_per_work

    @property
    def cells_per_work(self) -> int:
        """The number of cells of one method under one noise."""
        return len(self.images) * self.request.seeds

    @property
    def revisions(self) -> dict[str, str]:
        """The metrics' revisions, by name."""
        return {name: spec.revision for name, spec in self.metrics.items()}

    @cached_property
    def _input_rule(self) -> str:
        return self.protocol.input.digest

    @cached_property
    def pixels(self) -> Mapping[str, int]:
        """How many pixels each image has, by id."""
        return {image.id: image.pixels for image in self.images}

    def cells(self, work: Work) -> Iterator[tuple[int, Cell]]:
        """A work's cells with their positions in the plan, big images first."""
        start = work.index * self.cells_per_work
        order = sorted(enumerate(self.images), key=lambda pair: -pair[1].pixels)
        for index, image in order:
            for seed in range(self.request.seeds):
                yield start + index * self.request.seeds + seed, self.cell(work, image, seed)

    def cell(self, work: Work, image: PlannedImage, seed: int) -> Cell:
        """One cell, with its keys."""
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
        """The keys of all cases under a noise, which its methods share."""
        return [self._case_key(noise, image, seed) for image in self.images for seed in range(self.request.seeds)]

    def output_key(self, work: Work, case: str) -> str:
        """The key of what a work makes of a case."""
        return of_parts("output", case, self._input_rule, work.identity)

    def _case_key(self, noise: PlannedNoise, image: PlannedImage, seed: int) -> str:
        return cases.key(image.digest, noise.named, noise.spec.revision, seed)

    def _work(self, index: int, named: Named, noise: PlannedNoise) -> Work:
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
        return Work(index, named, spec, noise, found, note, skip, training, self._identity(named, spec, found))

    def _identity(self, named: Named, spec: DenoiserSpec, found: Weights | None) -> str:
        """What a method's output depends on, beside the case: see the page on names and identity."""
        told = self.request.noise_info if spec.wants != "nothing" else "none"
        options = [*map(list, variants.own(spec, named).items()), *variants.identity(spec, named)]
        packages = [[name, version_of(name)] for name in variants.packages(spec, named)]
        digest = found.sha256 if found else ""
        return of_parts(named.name, options, spec.revision, packages, digest, told, self.device)


def version_of(package: str) -> str:
    """The installed version of a distribution, or 'missing'."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def make(request: Request, registry: Registry) -> Plan:
    """Look everything up and check it; every mistake is reported before anything is computed."""
    noises = _noises(request, registry)
    methods, notes = _methods(request, registry)
    protocol = protocols.load(request.protocol)
    metrics = _metrics(request, registry)
    dataset, more = _dataset(request, registry)
    images = _images(request, dataset)
    _check_sizes(images, metrics, protocol)
    chosen = device(request.device, elsewhere=bool(request.scheduler))
    name = request.out or default_name(dataset.name, [noise.named.text for noise in noises], request)
    return Plan(
        request, registry, dataset, images, noises, methods, protocol, metrics, chosen, name,
        (*more, *notes),
    )  # fmt: skip


def default_name(dataset: str, noises: Sequence[str], request: Request) -> str:
    """A run's name: data set, noises, and whatever else was chosen that makes other cells or scores.

    The same command means the same run, and another one never takes its place, but for one on another folder of the
    same name: that says so.
    """
    return slug("-".join([dataset, _listed(noises), *_choices(request)]))


def _choices(request: Request) -> Iterator[str]:
    """What was chosen beside data set and noises, each in a word or two; nothing for what is as always."""
    for asked in (request.methods, request.metrics):
        parts = [part for text in asked for part in names.split_list(text)]
        if parts != [names.ALL]:
            yield _listed(parts) or "none"
    if request.images:
        yield f"images-{_listed(request.images)}"
    if request.seeds > 1:
        yield f"{request.seeds}-seeds"
    for given, default in ((request.protocol, "standard"), (request.noise_info, "known"), (request.device, "auto")):
        if given != default:
            yield given
    if names.ALL in request.methods and request.plugins:  # they may bring methods
        yield _listed([Path(path).stem for path in request.plugins])


def _listed(texts: Sequence[str]) -> str:
    """Texts by dashes; of more than four the first three, and a digest of the others."""
    more = texts[3:] if len(texts) > 4 else ()
    return "-".join(texts[: len(texts) - len(more)]) + (f"-and-{len(more)}-more-{of_parts(*more)[:4]}" if more else "")


def slug(text: str) -> str:
    """A text as a file name: letters, digits, dots and dashes, at most 80 long, and no device of Windows.

    Where letters of the text are lost, a digest keeps it apart from others.
    """
    plain = re.sub(r"[^a-zA-Z0-9.]+", "-", text.replace("sigma=", "")).strip("-.")
    lossy = plain and any(letter.isalnum() and not letter.isascii() for letter in text)
    if lossy or len(plain) > LONGEST_SLUG:
        plain = f"{plain[: LONGEST_SLUG - 9].rstrip('-.')}-{of_parts(text)[:8]}"
    if _DEVICE.fullmatch(plain.partition(".")[0]):
        plain = f"run-{plain}"
    return plain or f"run-{of_parts(text)[:8]}"


def _noises(request: Request, registry: Registry) -> tuple[PlannedNoise, ...]:
    asked = request.noises()
    if not asked:
        raise BadOption("no noise was given; say --sigma 50, or --noise NAME (`mdnbench list` shows the noises).")
    parsed = {named.text: named for named in map(registry.noise, asked)}
    return tuple(PlannedNoise(named, registry.noises[named.name]) for named in parsed.values())


def _methods(request: Request, registry: Registry) -> tuple[tuple[Named, ...], tuple[str, ...]]:
    texts: list[str] = []
    asked = [part for text in request.methods for part in names.split_list(text)]
    usual, wanting = _split(registry)
    for part in asked:
        texts += usual if part == names.ALL else [part]
    if not asked:
        raise BadOption("no method was given; say --methods all, or names by comma (`mdnbench list` shows them).")
    if not texts:
        raise NothingToDo("no method was selected: no plugin brings one. `mdnbench list` shows broken plugins.")
    notes: tuple[str, ...] = ()
    if names.ALL in asked:
        notes = tuple(f"plugin {each.door.address} is broken and left out: {each.reason}" for each in registry.broken)
        notes += tuple(f"{name} is left out of `all`: it must be given {needs}." for name, needs in wanting.items())
    return tuple({named.text: named for named in map(registry.method, texts)}.values()), notes


def _split(registry: Registry) -> tuple[list[str], dict[str, str]]:
    """The methods that can be run by their name alone, and what the others need."""
    needs = {
        name: ", ".join(option.name for option in variants.options_of(spec) if option.default is None)
        for name, spec in registry.denoisers.items()
    }
    return [name for name, asked in needs.items() if not asked], {name: asked for name, asked in needs.items() if asked}


def _metrics(request: Request, registry: Registry) -> dict[str, MetricSpec]:
    texts: list[str] = []
    for text in request.metrics:
        for part in names.split_list(text):
            texts += _usual(registry) if part == names.ALL else [part]
    return {name: registry.metric(name) for name in texts}


def _usual(registry: Registry) -> list[str]:
    """The metrics that `all` stands for: those that need not be asked for by name."""
    return [name for name, spec in registry.metrics.items() if not spec.by_name]


def _dataset(request: Request, registry: Registry) -> tuple[DatasetSpec, tuple[str, ...]]:
    """The data set asked for; with none named, Set12 where it can be had, else the one made from scikit-image."""
    if request.data:
        found = find_dataset(request.data, registry)
        turned = gray.split(found.name)[1]
        return found, ((f"the images of {found.name} are turned gray by {gray.RULE} does.",) if turned else ())
    first = registry.datasets[FIRST_CHOICE]
    try:
        data.fetch(first)
    except DataMissing as error:
        note = f"{FIRST_CHOICE} cannot be had, so this run uses {SECOND_CHOICE} instead: {error}"
        return registry.datasets[SECOND_CHOICE], (note,)
    return first, ()


def find_dataset(name: str, registry: Registry) -> DatasetSpec:
    """A data set by name, or a folder of images; its files are at hand afterwards."""
    if name in registry.datasets:
        spec = registry.datasets[name]
        data.fetch(spec)
        return spec
    if folder := folders.find(name):
        return folder
    raise UnknownName("data set or folder", name, registry.datasets)


def _images(request: Request, dataset: DatasetSpec) -> tuple[PlannedImage, ...]:
    """The images that were asked for, in the data set's order: said in another one, they are the same data."""
    for image in request.images:
        if image not in dataset.images:
            raise UnknownName(f"image of data set {dataset.name!r}", image, dataset.images)
    wanted = {*request.images} or {*dataset.images}
    chosen = tuple(image for image in dataset.images if image in wanted)
    if not chosen:
        raise NothingToDo(f"the data set {dataset.name!r} has no images.")
    return tuple(_planned(image, dataset) for image in chosen)


def _planned(identity: str, dataset: DatasetSpec) -> PlannedImage:
    with guarded(f"the data set {dataset.name!r} loads image {identity!r}"):
        pixels = dataset.load(identity)
    if found := sound.fault(pixels, dataset.channels):
        expected, came = found
        raise BadPlugin(
            f"the data set {dataset.name!r} must give {expected} for {identity!r}, and gave {came}: {sound.MEND}"
        )
    return PlannedImage(identity, of_pixels(pixels), tuple(pixels.shape))


def _check_sizes(images: tuple[PlannedImage, ...], metrics: Mapping[str, MetricSpec], protocol: Protocol) -> None:
    """Refuse, by name and before the run, images that are too small for a metric."""
    for image in images:
        side = min(image.shape[:2]) - 2 * protocol.scoring.border
        for spec in metrics.values():
            if side < spec.min_size:
                raise BadImage(
                    f"image {image.id!r} is {image.shape[1]}x{image.shape[0]}; {spec.name} needs at least "
                    f"{spec.min_size} pixels a side. Leave it out, or choose other metrics."
                )


def _channels_reason(spec: DenoiserSpec, dataset: DatasetSpec, images: tuple[PlannedImage, ...]) -> str:
    channels = {3 if len(image.shape) == 3 else 1 for image in images}
    if channels <= set(spec.channels):
        return ""
    takes = {1: "gray", 3: "colour"}[spec.channels[0]]
    advice = " --gray turns them gray." if takes == "gray" else ""
    return f"{spec.name} takes {takes} images only; {dataset.name} is not all {takes}.{advice}"


def device(asked: str, *, elsewhere: bool = False) -> str:
    """The device class: cpu or cuda; auto looks for a GPU without importing torch where there is none.

    With `elsewhere`, cells run on other machines, and a GPU that was asked for by name need not be here.
    """
    if asked not in ("auto", "cpu", "cuda"):
        raise BadOption(f"device {asked!r} is not allowed; it takes cpu, cuda or auto.")
    if asked == "cpu" or (asked == "auto" and not Path("/dev/nvidiactl").exists()):
        return "cpu"
    if asked == "cuda" and elsewhere:
        return asked
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if asked == "cuda":
        raise BadOption("device cuda was asked for, but torch sees no GPU here; use --device cpu.")
    return "cpu"

"""Make a plan: look up and check everything in a request, without computing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mdnbench import data
from mdnbench.data import checks, folders, gray, tested_files
from mdnbench.errors import BadImage, BadOption, BadPlugin, DataMissing, NothingToDo, UnknownName
from mdnbench.evaluation import protocols
from mdnbench.evaluation.protocols import Protocol
from mdnbench.planning import bit_depth
from mdnbench.planning.bit_depth import Depth
from mdnbench.planning.plan import Plan, PlannedImage, PlannedNoise
from mdnbench.planning.request import Request
from mdnbench.planning.run_names import default_name
from mdnbench.registry import Registry, variants
from mdnbench.registry.plugin_errors import named_errors
from mdnbench.spec import names
from mdnbench.spec.names import Named, with_commas
from mdnbench.spec.specs import DatasetSpec, Image, MetricSpec
from mdnbench.util import devices
from mdnbench.util.digests import of_pixels
from mdnbench.util.limits import MAX_CELLS, MAX_PAIRS

FIRST_CHOICE, SECOND_CHOICE = "set12", "sk12"


def make(request: Request, registry: Registry) -> Plan:
    """Look up and check everything in a request; every mistake is reported before anything is computed.

    Args:
        request: The request.
        registry: The specs of all plugins.

    Raises:
        UsageError: Something in the request does not exist or is not allowed.
        NothingToDo: No method or no image is left.

    """
    noises = _noises(request, registry)
    methods, notes = _methods(request, registry)
    protocol = protocols.load(request.protocol)
    metrics = _metrics(request, registry)
    dataset, more = _dataset(request, registry)
    chosen_images = _chosen(request, dataset)
    require_size(request, len(methods), len(noises), len(chosen_images))
    with tested_files.noted() as opened:
        images, depths = _loaded(chosen_images, dataset)
    _check_sizes(images, metrics, protocol)
    chosen = devices.choose(request.device, elsewhere=bool(request.scheduler))
    name = request.out or default_name(dataset.name, [noise.named.text for noise in noises], request)
    return Plan(
        request, registry, dataset, images, noises, methods, protocol, metrics, chosen, name,
        (*more, *notes, *bit_depth.notes(depths, protocol, noises)), _tested(request, registry, dataset, opened),
    )  # fmt: skip


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
    notes = tuple(f"plugin {each.source.address}: {each.reason}" for each in registry.patching)
    if names.ALL in asked:
        notes += tuple(
            f"plugin {each.source.address} is broken and left out: {each.reason}" for each in registry.broken
        )
        notes += tuple(f"{name} is left out of `all`: it must be given {needs}." for name, needs in wanting.items())
    return tuple({named.text: named for named in map(registry.method, texts)}.values()), notes


def _split(registry: Registry) -> tuple[list[str], dict[str, str]]:
    """Return the methods that need no options, and for each other method the options that it needs."""
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
    """Return the metrics that `all` means, which are those that may be left unnamed."""
    return [name for name, spec in registry.metrics.items() if not spec.by_name]


def _dataset(request: Request, registry: Registry) -> tuple[DatasetSpec, tuple[str, ...]]:
    """Return the requested data set and the notes about it.

    If none is requested, it is Set12 if that is available, otherwise the one made from scikit-image.
    """
    if request.data:
        found = find_dataset(request.data, registry)
        turned = gray.split(found.name)[1]
        return found, ((f"the images of {found.name} are turned gray by {gray.RULE} does.",) if turned else ())
    first = registry.datasets[FIRST_CHOICE]
    try:
        data.fetch(first)
    except DataMissing as error:
        note = f"{FIRST_CHOICE} is not available on this machine, so this run uses {SECOND_CHOICE} instead: {error}"
        return registry.datasets[SECOND_CHOICE], (note,)
    return first, ()


def find_dataset(name: str, registry: Registry) -> DatasetSpec:
    """Return a data set by name, or a folder of images; download its files if necessary.

    Raises:
        UnknownName: There is no such data set or folder.
        DataMissing: A file is not available.

    """
    if name in registry.datasets:
        spec = registry.datasets[name]
        data.fetch(spec)
        return spec
    if folder := folders.find(name):
        return folder
    raise UnknownName("data set or folder", name, registry.datasets)


def _chosen(request: Request, dataset: DatasetSpec) -> tuple[str, ...]:
    """Return the requested images in the data set's order; the order of the request has no effect."""
    known = {*dataset.images}
    for image in request.images:
        if image not in known:
            raise UnknownName(f"image of data set {dataset.name!r}", image, dataset.images)
    wanted = {*request.images} or known
    chosen = tuple(image for image in dataset.images if image in wanted)
    if not chosen:
        raise NothingToDo(f"the data set {dataset.name!r} has no images.")
    return chosen


def _loaded(chosen: Sequence[str], dataset: DatasetSpec) -> tuple[tuple[PlannedImage, ...], list[Depth]]:
    """Load the images one by one, check them, and return them with their depths.

    No two images are in memory at the same time.
    """
    images, depths = [], []
    for identity in chosen:
        pixels = _pixels(identity, dataset)
        images.append(PlannedImage(identity, of_pixels(pixels), tuple(pixels.shape)))
        depths.append(bit_depth.of(identity, pixels))
    return tuple(images), depths


def _tested(request: Request, registry: Registry, dataset: DatasetSpec, opened: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files that the images come from: those of the whole data set, and all files opened to load them."""
    known = not request.data or request.data in registry.datasets
    whole = data.files_of(dataset) if known else folders.files(request.data)
    return tuple(dict.fromkeys([*whole, *filter(Path.is_file, opened)]))  # no devices


def _pixels(identity: str, dataset: DatasetSpec) -> Image:
    """Return an image of the data set; raise BadPlugin if its type, shape or range is not as required."""
    with named_errors(f"the data set {dataset.name!r} loads image {identity!r}"):
        pixels = dataset.load(identity)
    if found := checks.fault(pixels, dataset.channels):
        expected, got = found
        raise BadPlugin(
            f"the data set {dataset.name!r} must give {expected} for {identity!r}, and gave {got}: {checks.FIX}"
        )
    return pixels


def _check_sizes(images: tuple[PlannedImage, ...], metrics: Mapping[str, MetricSpec], protocol: Protocol) -> None:
    """Refuse images that are too small for a metric, by name and before the run."""
    for image in images:
        side = min(image.shape[:2]) - 2 * protocol.scoring.border
        for spec in metrics.values():
            if side < spec.min_size:
                raise BadImage(
                    f"image {image.id!r} is {image.shape[1]}x{image.shape[0]}; {spec.name} needs at least "
                    f"{spec.min_size} pixels a side. Leave it out, or choose other metrics."
                )


def require_size(request: Request, methods: int, noises: int, images: int) -> None:
    """Raise BadOption if a plan has more cells than a run can have.

    Args:
        request: The request, for its number of seeds.
        methods: The number of methods.
        noises: The number of noises.
        images: The number of images.

    """
    pairs = methods * noises
    if pairs > MAX_PAIRS:
        raise BadOption(
            f"{methods:,} methods under {noises:,} noises are {with_commas(pairs)} pairs, and at most {MAX_PAIRS:,} "
            "are allowed in one run. Give fewer, or several runs."
        )
    cells = pairs * images * request.seeds
    if cells > MAX_CELLS:
        raise BadOption(
            f"{methods:,} methods under {noises:,} noises on {images:,} images with {request.seeds:,} seeds are "
            f"{with_commas(cells)} cells, and at most {MAX_CELLS:,} are allowed in one run. Give fewer, or several "
            "runs."
        )

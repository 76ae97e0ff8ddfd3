"""Compare measured values with published and claimed numbers.

Two numbers are compared only if data, noise, protocol, image and metric are the same. A number counts as reproduced if
the difference is at most twice the metric's tolerance. For PSNR that is 0.1 dB, which is about the difference between
two trainings of one network, or between two noise realisations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from mdnbench import registry
from mdnbench.analysis.published.findings import ALLOWED, Claim, Claims
from mdnbench.errors import DataMissing, NothingToDo
from mdnbench.evaluation import protocols
from mdnbench.registry.variants import without_weights
from mdnbench.results import references, tables
from mdnbench.results.references import MEAN, Reference
from mdnbench.store import score_array
from mdnbench.util.digests import of_pixels

if TYPE_CHECKING:
    from mdnbench.registry import Registry
    from mdnbench.results import Results
    from mdnbench.results.table import Column
    from mdnbench.spec.specs import DatasetSpec

_MeasuredValues = Mapping[tuple[str, str, str, str], float]  # the mean over seeds, by noise, method, image and metric


def compare(found: Results, more: Iterable[Reference] = ()) -> Claims:
    """Compare the results of a run with the published numbers, and with further ones.

    Args:
        found: The results of the run.
        more: Further numbers to compare with.

    Returns:
        The compared numbers, with notes, and the published means of methods that the run does not have.

    Raises:
        NothingToDo: If the run was made under another protocol than `standard`, or if no number is about the data,
            noise, method and metric of the run.
    """
    _require_standard(found)
    known = found.known or registry.load(found.plugins)
    columns = {column.name: column for column in tables.columns_of(found.run)}
    values = _measured(found, known)
    printed = [*references.published(), *more]
    chosen = [each for each in printed if _applies(each, found, columns)]
    every = [claim for each in chosen for claim in _claims(each, found, known, columns, values)]
    published = [claim for claim in every if claim.measured is not None]
    absent = [claim.reference for claim in every if claim.method not in found.run.facts.methods]
    others = tuple(each for each in absent if each.image == MEAN)
    if not published:
        raise NothingToDo(_nothing(found))
    return Claims(found.name, tuple(published), tuple(_notes(found, known)), others)


def _require_standard(found: Results) -> None:
    standard = protocols.load("standard")
    facts = found.run.facts
    if facts.protocol_hash != standard.hash:
        raise NothingToDo(
            f"nothing was compared: published numbers are under protocol {standard.label}, and run {found.name!r} is "
            f"under {facts.protocol} ({facts.protocol_hash}). Run it with --protocol standard."
        )


def _applies(reference: Reference, found: Results, columns: Mapping[str, Column]) -> bool:
    facts = found.run.facts
    return (
        reference.dataset.lower() == facts.dataset
        and reference.noise in facts.noises
        and reference.metric in columns
        and (reference.image == MEAN or reference.image in facts.images)
    )


def _claims(
    reference: Reference,
    found: Results,
    known: Registry,
    columns: Mapping[str, Column],
    values: _MeasuredValues,
) -> list[Claim]:
    """Return a claim for each method of the run with the reference's name; if there is none, one without a value."""
    column = columns[reference.metric]
    allowed = ALLOWED * found.run.facts.metric_facts[reference.metric].tolerance
    bearers = [text for text in found.run.facts.methods if reference.method.lower() in _names(text, known)]
    key = (reference.noise, reference.image, reference.metric)
    return [
        Claim(reference, text, column, values.get((key[0], text, key[1], key[2])), allowed)
        for text in bearers or [reference.method]
    ]


def _names(text: str, known: Registry) -> set[str]:
    """Return the names of a method in publications, in lower case: its own, and those that its spec lists.

    The names of the spec are for the method with default options.
    """
    plain = without_weights(text)
    names = {text, plain}
    if plain in known.denoisers:
        names |= {name.strip() for name in known.denoisers[plain].published_as.split(",") if name.strip()}
    return {name.lower() for name in names}


def _measured(found: Results, known: Registry) -> dict[tuple[str, str, str, str], float]:
    """Return the run's values that may be compared with published ones, by noise, method, image (or mean) and metric.

    If the run's images are not those of the data set, no value may be compared.
    """
    facts = found.run.facts
    spec = known.datasets.get(facts.dataset)
    if spec is None or not (spec is found.dataset or _same_pixels(spec, facts.images)):
        return {}
    scores = score_array.read(found.store, found.run)
    values = {}
    for metric, each in scores.values.items():
        with np.errstate(invalid="ignore"):
            by_image = each.mean(axis=3)  # (noises, methods, images); NaN if a seed is missing
        for index in np.argwhere(np.isfinite(by_image)):
            noise, method, image = (
                axis[i] for axis, i in zip((scores.noises, scores.methods, scores.images), index, strict=True)
            )
            values[noise, method, image, metric] = float(by_image[tuple(index)])
    if tuple(facts.images) == spec.images:
        values |= _whole_means(found)
    return values


def _whole_means(found: Results) -> dict[tuple[str, str, str, str], float]:
    """Return the means of those methods that have a score in every cell."""
    return {
        (row.noise, row.method, MEAN, metric): mean
        for row in found.means
        for metric, mean in row.means.items()
        if mean is not None and tables.covers(row, metric)
    }


def _same_pixels(spec: DatasetSpec, images: Mapping[str, str]) -> bool:
    """Return whether a run's images are those of the data set.

    The pixels are compared if they are available, otherwise the names.
    """
    if not set(images) <= set(spec.images):
        return False
    try:
        return all(of_pixels(spec.load(image)) == digest for image, digest in images.items())
    except (DataMissing, OSError):
        return True


def _notes(found: Results, known: Registry) -> Iterator[str]:
    facts = found.run.facts
    if facts.noise_info != "known":
        yield f"This run's noise information is {facts.noise_info}; published numbers mostly have it known."
    spec = known.datasets.get(facts.dataset)
    if spec is not None and tuple(facts.images) != spec.images:
        yield f"This run has {len(facts.images)} of {len(spec.images)} images, so that no mean can be compared."


def _nothing(found: Results) -> str:
    facts = found.run.facts
    return (
        f"nothing was compared: no known number is about {facts.dataset} under {', '.join(facts.noises)} by a "
        f"method and metric of run {found.name!r}. Add numbers of your own with --references FILE.csv."
    )

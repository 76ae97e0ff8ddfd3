"""What a run is called where nobody says: what was asked for, in a few words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mdnbench.planning.request import Request
from mdnbench.spec import names
from mdnbench.util.digests import of_parts
from mdnbench.util.slugs import slug


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

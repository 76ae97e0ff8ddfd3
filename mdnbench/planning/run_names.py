"""Make the default name of a run from the request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mdnbench.planning.request import Request
from mdnbench.spec import names
from mdnbench.util.digests import of_parts
from mdnbench.util.slugs import slug


def default_name(dataset: str, noises: Sequence[str], request: Request) -> str:
    """Return a run's name: the data set, the noises, and every other choice that leads to other cells or scores.

    The same request always has the same name, and a different request has a different one. The only exception is
    another image folder of the same name; a message then reports that the new run replaces the earlier one.
    """
    return slug("-".join([dataset, _listed(noises), *_choices(request)]))


def _choices(request: Request) -> Iterator[str]:
    """Yield the choices besides data set and noises in a word or two each; defaults are left out."""
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
    if names.ALL in request.methods and request.plugins:  # plugin files may provide methods
        yield _listed([Path(path).stem for path in request.plugins])


def _listed(texts: Sequence[str]) -> str:
    """Return texts joined with dashes; of more than four, the first three and a digest of the others."""
    more = texts[3:] if len(texts) > 4 else ()
    return "-".join(texts[: len(texts) - len(more)]) + (f"-and-{len(more)}-more-{of_parts(*more)[:4]}" if more else "")

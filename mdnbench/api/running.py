"""Plan, estimate, run and time methods on images and noises."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from mdnbench import planning, registry
from mdnbench.api import notebook
from mdnbench.engine import engines
from mdnbench.engine.coordinator import Coordinator
from mdnbench.errors import Interrupted, MdnbenchError, Unavailable, UsageError
from mdnbench.planning import Plan, request
from mdnbench.planning.estimate import of_plan
from mdnbench.planning.request import Keys, Request, RunKeys
from mdnbench.registry import Files, Registry
from mdnbench.registry.plugin_errors import named_errors
from mdnbench.results import Results, run_location
from mdnbench.store import Store, open_store, workspace
from mdnbench.util import atomic, jsonfile, paths
from mdnbench.util.interrupts import on_interrupt
from mdnbench.util.listener import Listener
from mdnbench.util.slugs import slug
from mdnbench.util.untrusted import cut

if TYPE_CHECKING:
    from mdnbench.planning.estimate import Estimate
    from mdnbench.spec.timings import TimingRecord
    from mdnbench.timing.times import Times

RUN_FILES = ("md", "csv", "json")


def plan(asked: Request | None = None, *, plugins: Files = (), **keys: Unpack[Keys]) -> Plan:
    """Plan a run: look up all names and find the data, but compute nothing.

    Args:
        asked: The request, or None if its fields are given as keywords.
        plugins: Python files with further plugins.
        **keys: The fields of the request, as in `run`.

    Returns:
        The plan.

    Raises:
        UsageError: If the request cannot be fulfilled.
    """
    if asked is not None and not isinstance(asked, Request):
        raise UsageError(f"a run is asked for by a Request or its fields as keywords, not by a {type(asked).__name__}.")
    wanted = asked or request.from_values(keys, "the request")
    files = (*wanted.plugins, *map(str, registry.listed(plugins)))
    wanted = dataclasses.replace(wanted, plugins=tuple(dict.fromkeys(files)))  # because the run's name depends on them
    return planning.make(wanted, registry.load(files))


def estimate(planned: Plan, *, workspace_folder: Path | None = None) -> Estimate:
    """Return what a run of this plan would find stored, compute, train and keep, and how long it would take.

    Args:
        planned: The plan.
        workspace_folder: The workspace; by default `.mdnbench` in the current folder.
    """
    return of_plan(planned, workspace.locate(workspace_folder), _prepare_metrics(planned, download=False))


def run(
    asked: Request | None = None,
    *,
    workspace_folder: Path | None = None,
    listener: Listener | None = None,
    **keys: Unpack[RunKeys],
) -> Results:
    """Run methods over images and noises, and return the results.

    Cells that the store has already are not computed again. Example:
    `run(methods=["bm3d", "nlm"], noise="gaussian:50", dataset="set12")`.

    Args:
        asked: The request, or None if its fields are given as keywords.
        workspace_folder: The workspace; by default `.mdnbench` in the current folder.
        listener: It receives notes and progress; by default a notebook shows bars.
        **keys: The fields of the request, and `plugins`.

    Returns:
        The results of the run, whose files are written.

    Raises:
        UsageError: Before anything is computed, if the request cannot be fulfilled.
        Interrupted: After Ctrl-C. The finished cells are stored.
        MdnbenchError: If the files of the run cannot be written.
    """
    listener = listener or notebook.listener()
    planned = plan(asked, **keys)
    for note in planned.notes:
        listener.note(note)
    engines.require(planned.request.engine)
    base = workspace.locate(workspace_folder)
    store = open_store(base / "results.sqlite")
    if store.note:
        listener.note(store.note)
    planned, folder = _placed(*_with_folder(planned, base), store, listener)
    unavailable = _prepare_metrics(planned, download=not paths.offline())
    stopping = "Stopping: what is running is finished and saved. Ctrl-C again stops at once."
    with on_interrupt(lambda: listener.note(stopping)) as stop:
        if any(work.training for work in planned.works):
            planned = _train_missing(planned, listener, lambda: stop.requested)
        coordinator = Coordinator(planned, store, unavailable, listener)
        tally = coordinator.compute(stop)
        found = Results(store, planned.name, folder)
        found.tally, found.plugins = tally, planned.registry.files
        found.known, found.dataset = planned.registry, planned.dataset
        timed = planned.request.timing and not stop.requested
        record = _timing(planned, found, listener, lambda: stop.requested) if timed else None
        _write(found, planned.registry, None if stop.requested else record, listener)
    if stop.requested and timed:
        raise Interrupted("stopped while timing; all cells are there, and the same command goes on with the timing.")
    if stop.requested:
        command = "the same command without --fresh" if planned.request.fresh else "the same command"
        raise Interrupted(f"stopped after {tally.done} of {planned.size} cells; {command} goes on from there.")
    return found


def time(
    asked: Request | None = None, *, sizes: Sequence[int] = (), threads: Sequence[int | str] = (),
    budget_s: float | None = None, scaling: bool = False, workspace_folder: Path | None = None,
    listener: Listener | None = None, **keys: Any,
) -> Times:  # fmt: skip
    """Time methods under the first noise, one after the other, each in a new process.

    The times stand next to the quality of the methods if the store has it. A timing from this machine under the same
    conditions is not repeated, unless the request has `fresh`.

    Args:
        asked: The request, or None if its fields are given as keywords.
        sizes: The sides of the square images in pixels.
        threads: Numbers of threads; 'all' is one per core.
        budget_s: The limit of the whole timing in seconds, which takes precedence over everything else.
        scaling: Whether to use other defaults, which show how the time grows with the image.
        workspace_folder: The workspace; by default `.mdnbench` in the current folder.
        listener: It receives notes and progress.
        **keys: The fields of the request, and `plugins`.

    Returns:
        The times, whose files are written.

    Raises:
        UsageError: If the request cannot be fulfilled.
        Interrupted: After Ctrl-C. Nothing of this timing is kept.
    """
    from mdnbench.timing import conditions, session

    under = conditions.alone(sizes, threads, budget_s, scaling=scaling)
    heard, planned = listener or notebook.listener(), plan(asked, **keys)
    for note in planned.notes:
        heard.note(note)
    base = workspace.locate(workspace_folder)
    if scaling and not planned.request.out:
        planned = dataclasses.replace(planned, name=f"{planned.name}-scaling")
    planned, folder = _with_folder(planned, base, "timings")
    run_location.require_inside(base, folder)
    atomic.ready(folder)  # fail now rather than after all measurements
    told = on_interrupt(lambda: heard.note("Stopping: after this call. Ctrl-C again stops at once."))
    with open_store(base / "results.sqlite") as store, told as stop:
        found = session.times(planned, under, store, folder, heard, lambda: stop.requested)
    if stop.requested:
        raise Interrupted("stopped; nothing of this timing was stored.")
    found.write()
    return found


def _train_missing(planned: Plan, listener: Listener, stop: Callable[[], bool]) -> Plan:
    from mdnbench.training import phase

    return phase.train_missing(planned, listener, stop)


def _with_folder(planned: Plan, base: Path, kind: str = "runs") -> tuple[Plan, Path]:
    """Return the plan with its run's name, and the run's folder.

    `--out` is a name, or a path if it contains a separator.
    """
    out, name = planned.request.out, slug(planned.name)
    folder = base / kind / name
    if out and (Path(out).name != out or out in (".", "..")):
        folder = paths.expanded(out)
        name = slug(folder.resolve().name)
    return dataclasses.replace(planned, name=name), folder


def _placed(planned: Plan, folder: Path, store: Store, listener: Listener) -> tuple[Plan, Path]:
    """Return the plan with a name that no run in another folder has, and the folder, which the workspace records."""
    base = store.path.parent
    name = run_location.name_of(store, folder, planned.name)
    if name != planned.name:
        listener.note(f"a run in another folder is called {planned.name!r}; this one is called {name!r}.")
        folder = (
            run_location.run_folder(base, name) if folder == run_location.run_folder(base, planned.name) else folder
        )
    run_location.require_inside(base, folder)
    atomic.ready(folder)  # fail now rather than after all computations
    run_location.write_reference(store, folder, name)
    return dataclasses.replace(planned, name=name), folder


def _prepare_metrics(planned: Plan, *, download: bool) -> dict[str, str]:
    """Prepare all metrics, and return those that cannot be computed here, with the reason.

    With `download`, missing files are downloaded.
    """
    unavailable = {}
    for name, spec in planned.metrics.items():
        try:
            with named_errors(f"the metric {name!r} gets ready"):
                reason = spec.prepare(download) if spec.prepare else None
        except Unavailable as error:
            reason = str(error)
        if reason:
            unavailable[name] = cut(reason)
    return unavailable


def _timing(planned: Plan, found: Results, listener: Listener, stop: Callable[[], bool]) -> TimingRecord | None:
    from mdnbench.timing import session

    if planned.request.scheduler:
        listener.note("the timing phase is left out: it would time this machine, and other ones computed the cells.")
        return None
    return session.record_for(planned, found, listener, stop)


def _write(found: Results, known: Registry, record: TimingRecord | None, listener: Listener) -> None:
    """Write the run's files: timing first, because the tables show it."""
    try:
        found.folder.mkdir(parents=True, exist_ok=True)
        timing = found.folder / "timing.json"
        if record is not None:
            jsonfile.write(timing, record)
        else:
            timing.unlink(missing_ok=True)
        for name in RUN_FILES:
            if name in known.reporters:
                known.reporters[name].write(found, found.folder)
            else:
                listener.note(f"the reporter {name!r} is not installed; its file is left out.")
    except OSError as error:
        raise MdnbenchError(
            f"the files of the run cannot be written to {found.folder}: {error}. What was computed is stored; make "
            "room, and `mdnbench report` writes them."
        ) from error

"""Use a run's results: reports, regression checks, comparisons, claims, other scoring rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import registry, results
from mdnbench.analysis import published, regression
from mdnbench.analysis.regression import baselines
from mdnbench.api import notebook
from mdnbench.errors import BadOption, BadPlugin, Interrupted
from mdnbench.registry import Files
from mdnbench.results import Results, run_location
from mdnbench.results.references import read
from mdnbench.store import workspace
from mdnbench.util import atomic
from mdnbench.util.interrupts import on_interrupt
from mdnbench.util.limits import MAX_JOBS
from mdnbench.util.listener import Listener

if TYPE_CHECKING:
    from mdnbench.analysis.published import Claims
    from mdnbench.analysis.regression import Change, Verdict
    from mdnbench.analysis.rescoring import Rescored
    from mdnbench.analysis.statistics import Comparison
    from mdnbench.spec.names import Named


def open_run(name: str, *, workspace_folder: Path | None = None) -> Results:
    """Return the results of an earlier run.

    Args:
        name: The run's name, or the path of its folder.
        workspace_folder: The workspace; by default `.mdnbench` in the current folder.

    Raises:
        UnknownName: If there is no such run.
        NothingToDo: If the workspace has no results.
    """
    return results.find(workspace.locate(workspace_folder), name)


def report(found: Results, formats: Iterable[str], *, folder: Path | None = None, plugins: Files = ()) -> list[Path]:
    """Write a run's results in other formats.

    Args:
        found: The results of the run.
        formats: Names of reporters, with options if needed, such as 'md' or 'html[limit=6]'.
        folder: The folder to write to; by default the run's own.
        plugins: Python files with further reporters, or with methods and noises of the run. Those that the run was
            started with are known already.

    Returns:
        The paths of the files.

    Raises:
        BadOption: If no format is given.
        BadPlugin: If a reporter ends the program.
    """
    known = registry.load((*found.plugins, *registry.listed(plugins)))
    found.plugins = known.files
    wanted = [known.reporter(text) for text in formats]
    if not wanted:
        raise BadOption(f"no format was given; allowed: {', '.join(known.reporters)}.")
    if folder is None:
        run_location.require_ours(found.store, found.name, found.folder)
    target = folder or found.folder
    atomic.ready(target)
    with atomic.below(target):
        return [_written(known, named, found, target) for named in wanted]


def _written(known: registry.Registry, named: Named, found: Results, target: Path) -> Path:
    try:
        return known.reporters[named.name].write(found, target, **named.values())
    except SystemExit as error:
        raise BadPlugin(f"the reporter {named.name!r} ended the program (SystemExit: {error}).") from None


def check(
    found: Results,
    baseline: Path,
    *,
    tolerances: Mapping[str, float] | None = None,
    partial: bool = False,
    timing: bool = False,
) -> Verdict:
    """Compare a run with a baseline.

    Args:
        found: The results of the run.
        baseline: The path of the baseline, with or without the ending of its files.
        tolerances: By how much a mean may change, by metric, and `seconds` as a share. They take precedence over the
            tolerances of the baseline.
        partial: Whether noises and methods of the baseline may be missing in the run.
        timing: Whether to compare seconds too, which is possible if both were timed on one machine.

    Returns:
        The verdict. Its `exit_code` is 0 if nothing got worse.

    Raises:
        UsageError: If the two differ in protocol, data, noise or metric revision.
        NothingToDo: If the two have no cell in common.
    """
    return regression.compare(found, baselines.read(baseline), tolerances or {}, partial=partial, timing=timing)


def baseline_change(found: Results, baseline: Path) -> Change | None:
    """Return what `write_baseline` would change, or None if there is no baseline yet."""
    return regression.changes(found, baselines.read(baseline)) if baselines.exists(baseline) else None


def write_baseline(found: Results, baseline: Path) -> Path:
    """Write a run as a baseline: the files BASELINE.csv and BASELINE.toml, and the timing if there is one.

    Args:
        found: The results of the run.
        baseline: The path of the baseline, with or without the ending of its files.

    Returns:
        The path without an ending.

    Raises:
        NothingToDo: If the run has no cell that is ok, or was interrupted.
    """
    return baselines.write(found, baseline)


def compare(found: Results, *others: Results, metrics: Iterable[str] = (), against: str = "") -> Comparison:
    """Compare the methods of one or several runs image by image, with intervals, paired differences and tests.

    Args:
        found: The results of a run.
        others: The results of further runs.
        metrics: The metrics to compare; by default all that the runs have in common.
        against: A method. If given, only the pairs with it are compared, and p-values are corrected for these pairs.

    Returns:
        A family of comparisons for each noise and metric.

    Raises:
        UsageError: If the runs differ in protocol, data, noise or metric revision.
        NothingToDo: If nothing can be compared.
    """
    from mdnbench.analysis import statistics

    return statistics.compare((found, *others), metrics=tuple(metrics), against=against)


def claims(found: Results, *, references: Iterable[Path] = ()) -> Claims:
    """Compare a run's numbers with published and claimed ones.

    Args:
        found: The results of the run.
        references: CSV files with further published numbers.

    Returns:
        The published numbers next to the measured ones.

    Raises:
        NothingToDo: If no published number is about what the run measured.
    """
    return published.compare(found, [each for path in references for each in read(Path(path))])


def rescore(
    found: Results,
    scoring: Iterable[str] = ("all",),
    *,
    dataset: str = "",
    jobs: int = 0,
    plugins: Files = (),
    listener: Listener | None = None,
) -> Rescored:
    """Score a run's kept outputs under other scoring rules and metric settings. No method runs again.

    Args:
        found: The results of the run.
        scoring: Protocols, files of protocols, metric settings such as 'ssim[uniform]', or 'all'.
        dataset: The folder of images, for a run on your own images.
        jobs: The number of workers; 0 is one per core.
        plugins: Python files with further plugins.
        listener: It receives notes and progress.

    Returns:
        How far each way to score moves the means.

    Raises:
        NothingToDo: If no output was kept, or if every way to score is that of the run.
        Interrupted: After Ctrl-C. The scores so far are stored.
    """
    from mdnbench.analysis.rescoring import Rescoring

    if not 0 <= jobs <= MAX_JOBS:
        raise BadOption(f"jobs = {jobs} is not allowed; it takes 0 (one per core) to {MAX_JOBS}.")
    heard = listener or notebook.listener()
    known = registry.load((*found.plugins, *registry.listed(plugins)))
    work = Rescoring(found, known, dataset, jobs)
    with on_interrupt(lambda: heard.note("Stopping: what is running is finished and saved.")) as stop:
        scored = work.run(list(scoring), heard, stop)
    if stop.requested:
        raise Interrupted("stopped; the same command goes on from there.")
    return scored

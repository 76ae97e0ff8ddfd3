"""What is made of a run's results: reports, checks, comparisons, claims, other scoring rules."""

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
    """The results of an earlier run, by name or by its folder's path."""
    return results.find(workspace.locate(workspace_folder), name)


def report(found: Results, formats: Iterable[str], *, folder: Path | None = None, plugins: Files = ()) -> list[Path]:
    """Write a run's results down in the named formats, as `md` or `html[limit=6]`; the paths of what was written.

    `plugins` are files that bring reporters, or the methods and noises of the run; those that it ran with are known.
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
    """Hold a run against a baseline; with `partial`, methods of the baseline that the run lacks are no regression.

    With `timing`, seconds are compared too, where both were timed on one machine.
    """
    return regression.compare(found, baselines.read(baseline), tolerances or {}, partial=partial, timing=timing)


def baseline_change(found: Results, baseline: Path) -> Change | None:
    """What `write_baseline` would change there; None where there is no baseline yet."""
    return regression.changes(found, baselines.read(baseline)) if baselines.exists(baseline) else None


def write_baseline(found: Results, baseline: Path) -> Path:
    """Write a run as a baseline: BASELINE.csv and BASELINE.toml."""
    return baselines.write(found, baseline)


def compare(found: Results, *others: Results, metrics: Iterable[str] = (), against: str = "") -> Comparison:
    """Compare the methods of a run, or of several runs, image by image: intervals, paired differences, tests.

    With `against`, only the pairs with that method are made, and corrected as such.
    """
    from mdnbench.analysis import statistics

    return statistics.compare((found, *others), metrics=tuple(metrics), against=against)


def claims(found: Results, *, references: Iterable[Path] = ()) -> Claims:
    """Set a run's numbers beside published and claimed ones; `references` are CSV files of more of them."""
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
    """Score a run's kept outputs under other rules and metric settings, and tell the shifts; no method runs again.

    `scoring` names protocols, files of protocols, metric settings (`ssim[uniform]`), or 'all' that are known. Raises
    Interrupted after Ctrl-C, with what was scored saved.
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

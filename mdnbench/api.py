"""The public Python API: what a notebook imports, and what each command of the command line calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from mdnbench import notebook, paths, planning, registry, request, results, workspace
from mdnbench.errors import DataMissing, Interrupted, MdnbenchError, NothingToDo, Unavailable
from mdnbench.listener import Listener
from mdnbench.notebook import Results
from mdnbench.planning import Plan
from mdnbench.registry import Files, Registry
from mdnbench.request import Keys, Request, RunKeys
from mdnbench.specs import MetricSpec
from mdnbench.store import Store, open_store

if TYPE_CHECKING:
    from mdnbench import conformance
    from mdnbench.deploy.exported import Exported
    from mdnbench.doctor import Finding
    from mdnbench.leaks import Leak
    from mdnbench.published import Claims
    from mdnbench.regression import Change, Verdict
    from mdnbench.rescoring import Rescored
    from mdnbench.statistics import Comparison
    from mdnbench.store.health import Health
    from mdnbench.store.leftovers import Leftovers
    from mdnbench.store.merging import Merged
    from mdnbench.timing.times import Times
    from mdnbench.weights import Weights

Names = str | Sequence[str]
RUN_FILES = ("md", "csv", "json")


def plan(asked: Request | None = None, *, plugins: Files = (), **keys: Unpack[Keys]) -> Plan:
    """What a run would do: names looked up, data at hand, nothing computed. Takes the keys of `run`."""
    wanted = asked or request.from_values(keys, "the request")
    loaded = registry.load((*wanted.plugins, *registry.listed(plugins)))
    return planning.make(wanted, loaded)


def outlook(planned: Plan, *, workspace_folder: Path | None = None) -> dict[str, Any]:
    """What a run of this plan would find stored, compute, train and keep, and how long it would take."""
    from mdnbench import outlook as outlooks

    return outlooks.of_plan(planned, workspace.locate(workspace_folder), _prepare_metrics(planned, download=False))


def run(
    asked: Request | None = None,
    *,
    workspace_folder: Path | None = None,
    listener: Listener | None = None,
    **keys: Unpack[RunKeys],
) -> Results:
    """Run a matrix of methods over images and noises, and return its results.

    Takes a Request, or its fields as keywords: `run(methods=["bm3d", "nlm"], noise="gaussian:50", dataset="set12")`.
    What the store holds already is not computed again. Raises UsageError before anything is computed where the request
    cannot be met, and Interrupted after Ctrl-C, with what was finished saved.
    """
    from mdnbench.engine.coordinator import Coordinator
    from mdnbench.stopping import on_interrupt

    listener = listener or notebook.listener()
    planned = plan(asked, **keys)
    for note in planned.notes:
        listener.note(note)
    base = workspace.locate(workspace_folder)
    planned, folder = _with_folder(planned, base)
    store = open_store(base / "results.sqlite")
    if store.note:
        listener.note(store.note)
    unavailable = _prepare_metrics(planned, download=not paths.offline())
    stopping = "Stopping: what is running is finished and saved. Ctrl-C again stops at once."
    with on_interrupt(lambda: listener.note(stopping)) as stop:
        if any(work.training for work in planned.works):
            planned = _train_missing(planned, listener, lambda: stop.requested)
        _prepare_models(planned, listener)
        coordinator = Coordinator(planned, store, unavailable, listener)
        tally = coordinator.compute(stop)
        found = Results(store, planned.name, folder)
        found.tally, found.plugins = tally, planned.registry.files
        record = _timing(planned, found, listener) if planned.request.timing and not stop.requested else None
        _write(found, planned.registry, record, listener)
    if stop.requested:
        raise Interrupted(f"stopped after {tally.done} of {planned.size} cells; the same command goes on from there.")
    return found


def time(
    asked: Request | None = None, *, sizes: Sequence[int] = (), threads: Sequence[int | str] = (),
    budget_s: float | None = None, scaling: bool = False, workspace_folder: Path | None = None,
    listener: Listener | None = None, **keys: Any,
) -> Times:  # fmt: skip
    """Time methods under the first noise, alone, each in a fresh process; takes a Request or its fields as `run` does.

    `sizes` are sides in pixels, `threads` numbers or 'all'; `budget_s` seconds in all win over everything. `scaling`
    has other defaults, for how time grows with the image. Quality stands beside it where the store has it. What this
    machine has timed under the same conditions is not measured again, unless the request says `fresh`. Interrupted
    after Ctrl-C.
    """
    from mdnbench.stopping import on_interrupt
    from mdnbench.timing import conditions, session

    under = conditions.alone(sizes, threads, budget_s, scaling=scaling)
    heard, planned = listener or notebook.listener(), plan(asked, **keys)
    for note in planned.notes:
        heard.note(note)
    base = workspace.locate(workspace_folder)
    if scaling and not planned.request.out:
        planned = dataclasses.replace(planned, name=f"{planned.name}-scaling")
    planned, folder = _with_folder(planned, base, "timings")
    store = open_store(base / "results.sqlite")
    with on_interrupt(lambda: heard.note("Stopping: after this call. Ctrl-C again stops at once.")) as stop:
        _prepare_models(planned, heard)
        found = session.times(planned, under, store, folder, heard, lambda: stop.requested)
    if stop.requested:
        raise Interrupted("stopped; nothing was kept of this timing.")
    found.write()
    return found


def train(method: str, *, plugins: Files = (), listener: Listener | None = None, **order: Any) -> Weights:
    """Train a learned method, or continue its training, and return its weights.

    `order` takes recipe, minutes, steps or epochs, changes (keys of the recipe), device, threads, resume and name.
    Interrupted after Ctrl-C, with a checkpoint saved. Processes that torchrun started train together; `listener` hears
    of it in the first.
    """
    from mdnbench.stopping import on_interrupt
    from mdnbench.training import ranks, session

    known, heard = registry.load(plugins), (listener or notebook.listener()) if ranks.first() else Listener()
    stopping = "Stopping: a checkpoint is saved after this step. Ctrl-C again stops at once."
    with on_interrupt(lambda: heard.note(stopping)) as stop:
        return session.run(session.Order(known.method(method), **order), known, heard, lambda: stop.requested)


def import_weights(method: str, path: Path, name: str, *, plugins: Files = ()) -> Weights:
    """Take published PyTorch weights in under a name; WeightsError where they are unsafe or of another network."""
    from mdnbench import weights

    return weights.import_weights(registry.load(plugins).denoisers[method], path, name)


def export_weights(
    method: str, name: str, folder: Path, *, rename: str = "", half: bool = False, plugins: Files = ()
) -> Path:
    """Copy a method's weights and their card to a folder, under another name if `rename` is given; the copy's path.

    `half` keeps the tensors in half precision, as shipped weights are.
    """
    from mdnbench import weights

    found = weights.find(registry.load(plugins).denoisers[method], name)
    return weights.export(found, folder, rename or name, half).path


def export_model(
    method: str, out: Path | None = None, *, to: str = "onnx", noise: str = "", plugins: Files = ()
) -> Exported:
    """Write a learned method to a file (default: METHOD.onnx here), for images of any size, and check it.

    The weights are those that a run under `noise` would use; without it, those of the widest cover.
    """
    from mdnbench.deploy import exported

    known = registry.load(plugins)
    return exported.write(known, known.method(method), known.noise(noise) if noise else None, to, out)


def fetch_data(name: str, *, listener: Listener | None = None) -> int:
    """Download what is missing of a data set, or what a metric needs; the number of files that were fetched."""
    from mdnbench import data

    known, heard = registry.load(), listener or notebook.listener()
    if name in known.metrics:
        return _fetch_for_metric(known.metrics[name])
    spec = known.datasets[name]
    heard.begin(f"fetching {name}", len(spec.files))
    fetched = data.fetch(spec, lambda done, total: heard.progress(f"fetching {name}", done))
    heard.end(f"fetching {name}")
    return fetched


def _fetch_for_metric(spec: MetricSpec) -> int:
    if spec.prepare is None or not spec.prepare(False):
        return 0
    if reason := spec.prepare(True):
        raise DataMissing(reason)
    return 1


def verify_data(name: str) -> list[str]:
    """What is missing or altered among a data set's files, one line each."""
    from mdnbench import data

    return data.verify(registry.load().datasets[name])


def find_leaks(train_set: str, test_set: str, *, pictures: Path | None = None) -> tuple[Leak, ...]:
    """The images of a training set that overlap images of a test set; remembered under MDNBENCH_HOME."""
    from mdnbench import leaks

    known = registry.load()
    material, test = planning.find_dataset(train_set, known), planning.find_dataset(test_set, known)
    found = leaks.cached_leaks(material, test)
    for leak in found if pictures else ():
        assert pictures is not None
        pictures.mkdir(parents=True, exist_ok=True)
        name = planning.slug(f"{leak.train_id}-{leak.test_id}")
        leaks.picture_of(leak, material, test, pictures / f"{name}.png")
    return found


def open_run(name: str, *, workspace_folder: Path | None = None) -> Results:
    """The results of an earlier run, by name or by its folder's path."""
    found = results.find(workspace.locate(workspace_folder), name)
    return Results(found.store, found.name, found.folder)


def report(
    found: results.Results, formats: Iterable[str], *, folder: Path | None = None, plugins: Files = ()
) -> list[Path]:
    """Write a run's results down in the named formats, as `md` or `html[limit=6]`; the paths of what was written.

    `plugins` are files that bring reporters, or the methods and noises of the run; those that it ran with are known.
    """
    known = registry.load((*found.plugins, *registry.listed(plugins)))
    found.plugins = known.files
    wanted = [known.reporter(text) for text in formats]
    target = folder or found.folder
    target.mkdir(parents=True, exist_ok=True)
    return [known.reporters[named.name].write(found, target, **named.values()) for named in wanted]


def check(
    found: results.Results,
    baseline: Path,
    *,
    tolerances: Mapping[str, float] | None = None,
    partial: bool = False,
    timing: bool = False,
) -> Verdict:
    """Hold a run against a baseline; with `partial`, methods of the baseline that the run lacks are no regression.

    With `timing`, seconds are compared too, where both were timed on one machine.
    """
    from mdnbench import regression
    from mdnbench.regression import baselines

    return regression.compare(found, baselines.read(baseline), tolerances or {}, partial=partial, timing=timing)


def baseline_change(found: results.Results, baseline: Path) -> Change | None:
    """What `write_baseline` would change there; None where there is no baseline yet."""
    from mdnbench import regression
    from mdnbench.regression import baselines

    return regression.changes(found, baselines.read(baseline)) if baselines.exists(baseline) else None


def write_baseline(found: results.Results, baseline: Path) -> Path:
    """Write a run as a baseline: BASELINE.csv and BASELINE.toml."""
    from mdnbench.regression import baselines

    return baselines.write(found, baseline)


def compare(
    found: results.Results, *others: results.Results, metrics: Iterable[str] = (), against: str = ""
) -> Comparison:
    """Compare the methods of a run, or of several runs, image by image: intervals, paired differences, tests.

    With `against`, only the pairs with that method are made, and corrected as such.
    """
    from mdnbench import statistics

    return statistics.compare((found, *others), metrics=tuple(metrics), against=against)


def claims(found: results.Results, *, references: Iterable[Path] = ()) -> Claims:
    """Set a run's numbers beside published and claimed ones; `references` are CSV files of more of them."""
    from mdnbench import published
    from mdnbench.references import read

    return published.compare(found, [each for path in references for each in read(Path(path))])


def rescore(
    found: results.Results,
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
    from mdnbench.rescoring import Rescoring
    from mdnbench.stopping import on_interrupt

    heard = listener or notebook.listener()
    work = Rescoring(found, registry.load(plugins), dataset, jobs)
    with on_interrupt(lambda: heard.note("Stopping: what is running is finished and saved.")) as stop:
        scored = work.run(list(scoring), heard, stop)
    if stop.requested:
        raise Interrupted("stopped; the same command goes on from there.")
    return scored


def check_store(*, workspace_folder: Path | None = None) -> Health:
    """Look at every page, row and kept image of the store: what there is, and one line for each problem."""
    from mdnbench.store import health

    return health.check(_existing_store(workspace_folder))


def store_leftovers(*, workspace_folder: Path | None = None) -> Leftovers:
    """What no run of the store refers to any more: what `compact_store` would remove."""
    from mdnbench.store import leftovers

    return leftovers.find(_existing_store(workspace_folder))


def compact_store(*, workspace_folder: Path | None = None) -> int:
    """Remove what no run of the store refers to any more; the bytes that became free. Not while a run is going on."""
    from mdnbench.store import leftovers

    return leftovers.remove(_existing_store(workspace_folder))


def merge_store(other: Path, *, workspace_folder: Path | None = None) -> Merged:
    """Bring the outputs, scores, runs and kept images of another store in; `other` is only read."""
    from mdnbench.store import merging

    return merging.merge(open_store(workspace.locate(workspace_folder) / "results.sqlite"), Path(other))


def examine(*, plugins: Files = (), workspace_folder: Path | None = None) -> tuple[Finding, ...]:
    """Look at machine, versions, network, plugins, data, weights and the store: what is well and what is not."""
    from mdnbench import doctor

    return doctor.examine(registry.load(plugins), workspace.locate(workspace_folder))


def new_plugin(name: str, kind: str, *, package: bool = False, folder: Path | str = ".") -> tuple[Path, ...]:
    """Write a working plugin to begin with, in a file with its test, or as a package; the paths of its files.

    `kind` is denoiser, learned, noise, metric, dataset or reporter.
    """
    from mdnbench import scaffold

    return scaffold.write(name, kind, package=package, folder=Path(folder))


def check_plugin(
    plugin: str | Path, *, plugins: Files = (), timeout: float = 120.0, listener: Listener | None = None
) -> tuple[conformance.Finding, ...]:
    """Take what a plugin brings through the conformance kit: one Finding for each rule, kept, broken or skipped.

    `plugin` is a file, the name of a plugin or of anything that one brings, or 'all'; `timeout` is in seconds per rule.
    """
    from mdnbench.conformance import kit

    known, subjects = kit.load(plugin, plugins)
    return kit.check(subjects, known, timeout=timeout, listener=listener)


def _existing_store(workspace_folder: Path | None) -> Store:
    path = workspace.locate(workspace_folder) / "results.sqlite"
    if not path.is_file():
        raise NothingToDo(f"there is no store {path}; run something first.")
    return open_store(path)


def _train_missing(planned: Plan, listener: Listener, stop: Callable[[], bool]) -> Plan:
    from mdnbench.training import phase

    return phase.train_missing(planned, listener, stop)


def _prepare_models(planned: Plan, listener: Listener) -> None:
    from mdnbench.deploy import phase

    phase.prepare(planned, listener)


def _with_folder(planned: Plan, base: Path, kind: str = "runs") -> tuple[Plan, Path]:
    """The plan under its run's name, and the run's folder: `--out` is a name, or a path where it has a separator."""
    out = planned.request.out
    if out and (Path(out).name != out or out in (".", "..")):
        folder = Path(out).expanduser()
        return dataclasses.replace(planned, name=planning.slug(folder.resolve().name)), folder
    return planned, base / kind / planning.slug(planned.name)


def _prepare_metrics(planned: Plan, *, download: bool) -> dict[str, str]:
    """The metrics that cannot be computed here, and why; with `download`, what can be fetched is fetched."""
    unavailable = {}
    for name, spec in planned.metrics.items():
        try:
            reason = spec.prepare(download) if spec.prepare else None
        except Unavailable as error:
            reason = str(error)
        if reason:
            unavailable[name] = reason
    return unavailable


def _timing(planned: Plan, found: Results, listener: Listener) -> dict[str, Any] | None:
    from mdnbench.timing import session

    if planned.request.scheduler:
        listener.note("the timing phase is left out: it would time this machine, and other ones computed the cells.")
        return None
    return session.record_for(planned, found, listener)


def _write(found: results.Results, known: Registry, record: Mapping[str, Any] | None, listener: Listener) -> None:
    """Write the run's files: timing first, because the tables show it."""
    import json

    try:
        found.folder.mkdir(parents=True, exist_ok=True)
        timing = found.folder / "timing.json"
        if record is not None:
            timing.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        else:
            timing.unlink(missing_ok=True)
        for name in RUN_FILES:
            if name in known.reporters:
                known.reporters[name].write(found, found.folder)
            else:
                listener.note(f"the reporter {name!r} is not installed; its file is left out.")
    except OSError as error:
        raise MdnbenchError(f"the files of the run cannot be written to {found.folder}: {error}.") from error

"""The check of all rules for a plugin, in separate processes that may crash or hang."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import registry, weights
from mdnbench.engine import launcher
from mdnbench.engine.launcher import OrderProcess
from mdnbench.engine.orders import OrderFailed, ProcessEnded, ProcessLate
from mdnbench.errors import UnknownName
from mdnbench.registry import variants
from mdnbench.spec.names import ALL, Named
from mdnbench.testing.rules import cheating, isolation, reporters, rule_table, samples
from mdnbench.testing.rules.process import FINGERPRINT, OutputDigest, RuleSetup
from mdnbench.testing.rules.rule import Finding, Subject
from mdnbench.util import temporary
from mdnbench.util.limits import RULE_S
from mdnbench.util.listener import Listener

if TYPE_CHECKING:
    from mdnbench.registry import Registry
    from mdnbench.registry.discovery import PluginSource
    from mdnbench.weights import Weights

NOISE = "gaussian:25"
PHASE = "rules"


def load(plugin: str | Path, plugins: registry.Files = ()) -> tuple[Registry, tuple[Subject, ...]]:
    """Load all plugins, and find what the requested one contains.

    Args:
        plugin: A plugin file (its name ends in .py), the name of a plugin, or the name of anything in it.
        plugins: More plugin files to load.

    Returns:
        The registry, and the subjects to check.
    """
    file = [Path(plugin)] if str(plugin).endswith(".py") else []
    known = registry.load([*registry.listed(plugins), *file])
    return known, subjects_of(plugin, known)


def subjects_of(plugin: str | Path, known: Registry) -> tuple[Subject, ...]:
    """Return the methods, noises, metrics, data sets and reporters of a plugin.

    Every setting of a metric is a separate subject, such as `ssim[uniform]`.

    Args:
        plugin: A plugin file, the name of an installed plugin, the name of one subject, or 'all' for everything.
        known: The registry.

    Raises:
        UnknownName: There is no such plugin.
        BadPlugin: The plugin cannot be imported.
    """
    everything, wanted = list(_everything(known)), str(plugin)
    if wanted == ALL:
        return tuple(subject for subject, _ in everything)
    found = [subject for subject, source in everything if _is(source, wanted)]
    found = found or [subject for subject, _ in everything if wanted in (subject.name, subject.name.partition("[")[0])]
    if not found and any(_is(each.source, wanted) for each in known.broken):
        known.denoisers.entry(wanted)  # raises the reason why it is broken
    if not found:
        names = {name for subject, source in everything for name in (subject.name, source.name)}
        raise UnknownName("plugin", wanted, names, hint="A file's name ends in .py.")
    return tuple(found)


def _is(source: PluginSource, wanted: str) -> bool:
    return source.path == Path(wanted).resolve() if wanted.endswith(".py") else source.name == wanted


def _everything(known: Registry) -> Iterator[tuple[Subject, PluginSource]]:
    for specs in (known.denoisers, known.noises, known.metrics, known.datasets, known.reporters):
        for name in specs:
            entry = specs.entry(name)
            settings = (f"{name}[{each.name}]" for each in getattr(entry.spec, "settings", ()))
            for text in (name, *settings):
                yield Subject(specs.kind, text), entry.source  # type: ignore[arg-type]


def check(
    subjects: Sequence[Subject], known: Registry, *, timeout: float = RULE_S, listener: Listener | None = None
) -> tuple[Finding, ...]:
    """Check every rule for every subject. Nothing that a plugin does can end the check.

    Args:
        subjects: The subjects to check.
        known: The registry that has them.
        timeout: The longest time for one rule, in seconds.
        listener: Receives the progress.
    """
    heard = listener or Listener()
    found: dict[Subject, list[Finding]] = {subject: [] for subject in subjects}
    heard.begin(PHASE, sum(len(rule_table.names(each.kind)) for each in subjects))
    with temporary.folder("mdnbench-check") as folder:
        for finding in _findings(subjects, known, folder, timeout):
            found[finding.subject].append(finding)
            heard.progress(PHASE, sum(map(len, found.values())), [str(finding.subject)], finding.rule)
    heard.end(PHASE)
    return tuple(finding for findings in found.values() for finding in findings)


def _findings(subjects: Sequence[Subject], known: Registry, scratch: Path, timeout: float) -> Iterator[Finding]:
    if any(each.kind == "reporter" for each in subjects):
        cheating.write_pictures(scratch / "pictures")
        reporters.finish_run(known, scratch / "pictures", scratch / "workspace")
    exam = RuleSetup(_sources(subjects, known), _weights(subjects, known), scratch, isolation.scores())
    prints: dict[Subject, str] = {}
    with _RuleProcesses(exam, timeout) as desk:
        for subject in subjects:
            yield from _check_subject(desk, subject, prints)
    with _RuleProcesses(exam, timeout) as desk:
        for subject in (each for each in subjects if each.kind != "reporter"):
            yield _rebuilt(desk, subject, prints.get(subject))


def _check_subject(desk: _RuleProcesses, subject: Subject, prints: dict[Subject, str]) -> Iterator[Finding]:
    """Yield the findings for one subject, rule by rule. After a broken gate, the remaining rules are skipped."""
    shut = ""
    for rule in rule_table.RULES[subject.kind]:
        finding = desk.ask(subject, rule.name) if not shut else Finding(subject, rule.name, "skipped", got=shut)
        assert isinstance(finding, Finding)
        if rule.gate and finding.state != "kept":
            shut = shut or (f"{rule.name} is broken" if finding.state == "broken" else finding.got)
        yield finding
    if not shut and subject.kind != "reporter":
        given = desk.ask(subject, FINGERPRINT)
        if isinstance(given, OutputDigest):
            prints[subject] = given.text


def _rebuilt(desk: _RuleProcesses, subject: Subject, expected: str | None) -> Finding:
    """Return the finding about whether a new process gets the same fingerprint."""
    if expected is None:
        return Finding(subject, rule_table.REBUILD, "skipped", got="there was no output to compare with.")
    given = desk.ask(subject, FINGERPRINT)
    if isinstance(given, OutputDigest) and given.text == expected:
        return Finding(subject, rule_table.REBUILD, "kept")
    return Finding(
        subject, rule_table.REBUILD, "broken", "the same output from a worker that builds it anew, in another process",
        "another output" if isinstance(given, OutputDigest) else given.got,
        "let nothing depend on the process: no hash() of text, no process id, clock, or what a first run left behind.",
    )  # fmt: skip


def _sources(subjects: Iterable[Subject], known: Registry) -> dict[Subject, PluginSource]:
    wanted = set(subjects)
    return {subject: source for subject, source in _everything(known) if subject in wanted}


def _weights(subjects: Iterable[Subject], known: Registry) -> dict[str, Weights]:
    """Return the weights that learned methods would use for the usual noise, without those that have none."""
    found, noise = {}, known.noise(NOISE)
    for name in (each.name for each in subjects if each.kind == "method"):
        spec = known.denoisers[name]
        if not spec.trainable:
            continue
        named = Named(name, tuple(samples.values(variants.options_of(spec)).items()), name)
        if resolved := weights.resolve(spec, named, noise):
            found[name] = resolved.weights
    return found


@dataclass
class _RuleProcesses:
    """The connection to a checking process: one for each source, and a new one if it was lost."""

    exam: RuleSetup
    timeout: float
    _process: OrderProcess | None = field(default=None, init=False)
    _source: PluginSource | None = field(default=None, init=False)

    def __enter__(self) -> _RuleProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(self, subject: Subject, rule: str) -> Finding | OutputDigest:
        """Return the process's answer, or a finding of a broken rule if it ends or gives no answer in time."""
        process = self._process_of(subject)
        try:
            answer: Finding | OutputDigest = process.ask("examine", subject, rule, within_s=self.timeout)
            return answer
        except ProcessLate:
            got = f"no answer within {self.timeout:g} s (--timeout); its process was ended"
        except ProcessEnded:
            got = process.how_it_ended().rstrip(".")
        except OrderFailed as error:
            got = str(error)
        self._end()
        fix = "find the call that does it: native code, `os._exit`, a wait without an end, a loop without one."
        return Finding(subject, rule, "broken", "an answer", got, fix)

    def _process_of(self, subject: Subject) -> OrderProcess:
        source = self.exam.sources[subject]
        if self._process and self._source != source:
            self._end()
        if self._process is None:
            self._process = launcher.shared().launch("mdnbench.testing.rules.process:serve", self.exam)
            self._source = source
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None

"""Decide whether two sets of results may be compared, and list their differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from mdnbench.analysis.regression import code_record
from mdnbench.analysis.regression.baselines import Facts
from mdnbench.errors import UsageError
from mdnbench.planning.identity import EVALUATION, METHOD, METRIC, NOISE

DifferenceKind = Literal["code", "weights", "packages", "machine", "revision", "noisy pixels", "rules"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs between two sets of results.

    Attributes:
        what: The thing, in words.
        before: Its value in the baseline or in the first run; empty if there is none.
        after: Its value in the other run; empty if there is none.
        kind: The kind of evidence.
        concerns: Whose numbers it may have changed, such as 'method NAME' or 'evaluation'. None means all numbers.
    """

    what: str
    before: str
    after: str
    kind: DifferenceKind = "rules"
    concerns: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"{self.what}: {self.before or 'none'} → {self.after or 'none'}"


def require(run: Facts, other: Facts, other_name: str = "the baseline", *, noise_info: bool = True) -> None:
    """Raise an error if two sets of results cannot be compared.

    Args:
        run: The facts of the run.
        other: The facts of the baseline or of another run.
        other_name: What messages call `other`.
        noise_info: Whether different noise information forbids the comparison.

    Raises:
        UsageError: If they differ in protocol, data, noise information, or the revision of a noise or metric.
    """
    unlike = [each for each in refusals(run, other) if noise_info or each.what != "noise information"]
    if unlike:
        named = "; ".join(f"{each.what}: {each.after!r} here, {each.before!r} in {other_name}" for each in unlike)
        raise UsageError(f"these cannot be compared: {named}. Run what {other_name} was made of.")


def refusals(run: Facts, other: Facts) -> list[Difference]:
    """Return the differences that forbid a comparison."""
    pairs = (
        ("protocol", f"{other.protocol} {other.protocol_hash}", f"{run.protocol} {run.protocol_hash}"),
        ("data set digest", other.dataset_digest, run.dataset_digest),
        ("noise information", other.noise_info, run.noise_info),
        *((f"revision of noise {name}", other.noises[name], run.noises[name])
          for name in other.noises if name in run.noises),
        *((f"revision of metric {name}", other.metrics[name].revision, run.metrics[name].revision)
          for name in other.metrics if name in run.metrics),
    )  # fmt: skip
    return [Difference(*each) for each in pairs if each[1] != each[2]]


def differences(run: Facts, other: Facts) -> list[Difference]:
    """Return the differences that may explain other numbers but do not forbid the comparison.

    The strongest evidence comes first: code, weights, packages, machine, and revisions of methods.
    """
    of_methods = list(_of_methods(run, other))
    return [
        *_of_code(run, other),
        *(each for each in of_methods if each.kind == "weights"),
        *(each for each in of_methods if each.kind == "packages"),
        *_of_packages(run, other),
        *_of_machine(run, other),
        *(each for each in of_methods if each.kind == "revision"),
    ]


def explaining(found: Iterable[Difference], noise: str, method: str, metric: str) -> tuple[Difference, ...]:
    """Return those of the differences that may explain why the mean of a method under a noise by a metric changed."""
    mine = {f"{METHOD} {method}", f"{NOISE} {noise}", f"{METRIC} {metric}", EVALUATION, _weights_of(method, noise)}
    return tuple(each for each in found if each.concerns is None or mine.intersection(each.concerns))


def _weights_of(method: str, noise: str) -> str:
    return f"weights of {method} under {noise}"


def _of_code(run: Facts, other: Facts) -> Iterator[Difference]:
    """Yield each file that has changed once, with the methods, noises and metrics that use it."""
    users: dict[tuple[str, str, str], list[str]] = {}
    for key, table in other.code.items():
        mine = run.code.get(key)
        if mine is None:
            continue
        plugin = mine.get(code_record.PLUGIN) or table.get(code_record.PLUGIN) or code_record.PLUGIN
        for name, before, after in _changed(code_record.files(table), code_record.files(mine)):
            root, _, file = name.partition(": ")
            shown = f"{plugin if root == code_record.PLUGIN else root}: {file}"
            users.setdefault((shown, before, after), []).append(key)
    for (file, before, after), keys in users.items():
        named = ", ".join(key.removeprefix(f"{METHOD} ") for key in keys)
        yield Difference(f"code of {named} ({file})", before, after, "code", tuple(keys))


def _of_packages(run: Facts, other: Facts) -> Iterator[Difference]:
    """Yield each package that has changed, with the methods, noises and metrics whose code is known to load it."""
    users: dict[tuple[str, str, str], list[str]] = {}
    for key, table in other.code.items():
        theirs, mine = code_record.packages(table), code_record.packages(run.code.get(key, {}))
        for name in theirs.keys() & mine.keys():  # a package in only one of them was loaded by new code or by chance
            if theirs[name] != mine[name]:
                users.setdefault((name, theirs[name], mine[name]), []).append(key)
    known = bool(other.code and run.code)
    for name, before, after in _changed(other.packages, run.packages):
        keys = users.pop((name, before, after), [])
        yield Difference(f"package {name}", before, after, "packages", tuple(keys) if known else None)
    told = {key for facts in other.methods.values() for key in facts}
    for (name, before, after), keys in sorted(users.items()):
        if name not in told:
            yield Difference(f"package {name}", before, after, "packages", tuple(keys))


def _of_machine(run: Facts, other: Facts) -> Iterator[Difference]:
    for what, before, after in (("CPU", other.cpu, run.cpu), ("device", other.device, run.device)):
        if before != after:
            yield Difference(what, before, after, "machine")


def _of_methods(run: Facts, other: Facts) -> Iterator[Difference]:
    for method in other.methods:
        if method in run.methods:
            for key, before, after in _changed(other.methods[method], run.methods[method]):
                if (before, after) == (other.packages.get(key), run.packages.get(key)):
                    continue  # listed once, for all methods
                yield _of_method(method, key, before, after)


def _of_method(method: str, key: str, before: str, after: str) -> Difference:
    what, concerns = f"{key} of {method}", (f"{METHOD} {method}",)
    if key == "revision":
        return Difference(what, before, after, "revision", concerns)
    if key != "weights" and not key.startswith("weights "):
        return Difference(what, before, after, "packages", concerns)
    if noise := key.removeprefix("weights").strip():
        concerns = (_weights_of(method, noise),)
    return Difference(what, before[:12], after[:12], "weights", concerns)


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return the keys with different values, with both values; a missing value is empty."""
    keys = dict.fromkeys([*before, *after])
    return [(key, before.get(key, ""), after.get(key, "")) for key in keys if before.get(key) != after.get(key)]

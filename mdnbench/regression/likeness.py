"""Whether two tables may be set side by side, and whatever makes them unlike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mdnbench.errors import UsageError
from mdnbench.regression.baselines import Facts


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two tables do not share: what it is, and what it was in the one and is in the other."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what}: {self.before or 'none'} → {self.after or 'none'}"


def require(run: Facts, other: Facts, other_name: str = "the baseline", *, noise_info: bool = True) -> None:
    """Refuse, by UsageError, tables that differ in protocol, data, noise or metric revision."""
    unlike = [each for each in refusals(run, other) if noise_info or each.what != "noise information"]
    if unlike:
        named = "; ".join(f"{each.what}: {each.after!r} here, {each.before!r} in {other_name}" for each in unlike)
        raise UsageError(f"these cannot be compared: {named}. Run what {other_name} was made of.")


def refusals(run: Facts, other: Facts) -> list[Difference]:
    """What forbids a comparison."""
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
    """What may explain different numbers without forbidding the comparison: methods, weights, packages, machine."""
    return [
        *_of_methods(run, other),
        *(Difference(f"package {name}", *each) for name, *each in _changed(other.packages, run.packages)),
        *(Difference(what, *each) for what, *each in (("CPU", other.cpu, run.cpu), ("device", other.device, run.device))
          if each[0] != each[1]),
    ]  # fmt: skip


def _of_methods(run: Facts, other: Facts) -> Iterator[Difference]:
    for method in other.methods:
        if method in run.methods:
            for key, before, after in _changed(other.methods[method], run.methods[method]):
                if (before, after) == (other.packages.get(key), run.packages.get(key)):
                    continue  # said once, for all methods
                short = key.startswith("weights")
                yield Difference(f"{key} of {method}", *((before[:12], after[:12]) if short else (before, after)))


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    keys = dict.fromkeys([*before, *after])
    return [(key, before.get(key, ""), after.get(key, "")) for key in keys if before.get(key) != after.get(key)]

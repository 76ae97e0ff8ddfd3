"""The timings of `mdnbench time`: the record, the tables that it gives, and the file in which it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mdnbench.errors import MdnbenchError
from mdnbench.results.table import Table
from mdnbench.spec.names import counted
from mdnbench.spec.timings import TOO_SHORT, TimingRecord
from mdnbench.timing import quality, scaling, summary
from mdnbench.util import jsonfile


@dataclass(frozen=True)
class Times:
    """The timings of one command.

    Attributes:
        name: The name of the timings.
        folder: The folder for their files.
        record: The record, in pytest-benchmark's format.

    """

    name: str
    folder: Path
    record: TimingRecord

    @cached_property
    def pareto(self) -> quality.Pareto | None:
        """Quality against time, if the store has the methods' quality; None otherwise."""
        return quality.of_record(self.record)

    @cached_property
    def scaling(self) -> tuple[scaling.Scaling, ...]:
        """How time and memory grow with the size of the image, if enough sizes were timed."""
        return scaling.of_record(self.record)

    @property
    def tables(self) -> Iterator[Table]:
        """The tables: one per size and number of threads, then quality against time, then growth."""
        yield from summary.tables(self.record)
        known = self.record.quality
        if self.pareto and known:
            yield quality.table(
                self.pareto,
                f"quality against time · PSNR on {known.dataset}, {counted(known.images, 'image')}, protocol "
                f"{known.protocol} · time at {self.pareto.group}",
            )
        if self.scaling:
            yield scaling.table(self.scaling)

    @property
    def notes(self) -> list[str]:
        """Notes on what was noisy, on what is missing and why, and on the results of the self-tests."""
        found = summary.notes(self.record)
        found += [f"{name} was left out: {why}" for name, why in self.record.left_out.items()]
        known = self.record.quality.psnr if self.record.quality else {}
        named = dict.fromkeys(each.name for each in self.record.benchmarks)
        unknown = [name for name in named if name not in known]
        if unknown:
            found.append(f"the store does not hold every cell of {', '.join(unknown)}: `mdnbench run` fills it.")
        return found

    @property
    def exit_code(self) -> int:
        """The exit code: 0 if all went well, 4 if a method or a self-test failed, 5 if nothing was timed.

        A budget that was too short is not a failure. A method that was left out is one if it was requested by name.
        """
        unmet = set(self.record.left_out) & set(self.record.named)
        if unmet or failed(self.record) or summary.failures(self.record):
            return 4
        return 0 if self.record.benchmarks else 5

    def write(self) -> None:
        """Write `timing.json` to the folder.

        Raises:
            MdnbenchError: If the file cannot be written.

        """
        try:
            jsonfile.write(self.folder / "timing.json", self.record)
        except OSError as error:
            raise MdnbenchError(f"the timings cannot be written to {self.folder}: {error}.") from error


def failed(record: TimingRecord) -> bool:
    """Return whether any method failed; a budget that was too short is not a failure."""
    return any(why not in TOO_SHORT for why in record.problems.values())

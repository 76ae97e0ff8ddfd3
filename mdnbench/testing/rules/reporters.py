"""The rule of reporters: for any run, they write a file in the folder that they are given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import planning
from mdnbench.engine.coordinator import Coordinator
from mdnbench.errors import Unavailable
from mdnbench.planning.request import Request
from mdnbench.results import find
from mdnbench.store import open_store
from mdnbench.testing.rules import samples
from mdnbench.testing.rules.rule import Rule, RuleBroken
from mdnbench.util.interrupts import Stop

if TYPE_CHECKING:
    from mdnbench.registry import Registry
    from mdnbench.results import Results
    from mdnbench.spec.specs import ReporterSpec

RUN = "conformance"


@dataclass(frozen=True, slots=True)
class ReporterSubject:
    """A reporter's spec, and the folder of a finished run."""

    spec: ReporterSpec
    folder: Path

    def results(self) -> Results:
        """Return the results of the finished run."""
        return find(self.folder, RUN)


def finish_run(known: Registry, pictures: Path, folder: Path) -> None:
    """Compute a run that every installation can compute, so reporters have something to write.

    It has two methods, two noises and one image.

    Args:
        known: The registry.
        pictures: The folder of the image.
        folder: The folder for the store.
    """
    asked = Request(
        methods=("noisy", "median"), noise=("gaussian:50", "gaussian:25"), dataset=str(pictures), metrics=("psnr",),
        jobs=1, out=RUN, timing=False,
    )  # fmt: skip
    plan = planning.make(asked, known)
    with open_store(folder / "results.sqlite") as store:
        Coordinator(plan, store, {}).compute(Stop())


def writes(reporter: ReporterSubject) -> None:
    """It writes into the folder that it is given, and returns the path."""
    folder = reporter.folder / "a folder [of reports]"
    folder.mkdir(exist_ok=True)
    found = reporter.results()  # opened first, because SQLite creates files next to an open store
    outside = set(reporter.folder.iterdir()) | set(Path.cwd().iterdir())
    for _ in range(2):  # writing a report again must replace the first one
        try:
            path = reporter.spec.write(found, folder, **samples.values(reporter.spec.options))
        except Unavailable:
            raise
        except Exception as error:
            raise RuleBroken(
                "a file of a run with two methods and two noises, written twice",
                f"{type(error).__name__}: {error}",
                "write any run: several noises, metrics that are missing, a file that is there already.",
            ) from error
    if not isinstance(path, Path) or not path.exists() or not path.is_relative_to(folder):
        raise RuleBroken(
            "the path of what was written into the folder", repr(path), "write to `folder / NAME`; return it."
        )
    if strangers := {*reporter.folder.iterdir(), *Path.cwd().iterdir()} - outside:
        got = ", ".join(sorted(each.name for each in strangers))
        raise RuleBroken("files in the folder alone", f"also {got} elsewhere", "write to `folder / NAME` alone.")


RULES = (Rule("reporter-writes", writes),)

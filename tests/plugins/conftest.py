"""A run that no method made: real rows in a real store, with real noise on real images, as large and named as asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.data import images
from mdnbench.engine import coordinator
from mdnbench.evaluation import cases, scoring
from mdnbench.planning import Plan
from mdnbench.results import Results
from mdnbench.spec.records import Cell, Outcome
from mdnbench.store import Store, open_store, stored_images
from mdnbench.store.facts import MethodFacts
from mdnbench.util import digests

Problem = Callable[[str, str], tuple[str, str] | None]


@dataclasses.dataclass(frozen=True)
class Invented:
    """The parts of an invented run: clean images by name, methods, and which cells have which problem."""

    folder: Path
    name: str
    pictures: Mapping[str, Any]
    methods: Sequence[str]
    plan: Plan
    problem: Problem

    def write(self) -> Results:
        """Write every cell into a store and give its results."""
        store = open_store(self.folder / "results.sqlite")
        facts = dataclasses.replace(
            coordinator.facts(self.plan, {}, self.plan.revisions),
            dataset="invented",
            dataset_folder=str(self.folder / "clean"),
            images={name: digests.of_pixels(image) for name, image in self.pictures.items()},
            methods={method: MethodFacts("1", {}, "nothing") for method in self.methods},
        )
        run = store.start_run(self.name, len(self.pictures) * len(self.plan.noises) * len(self.methods), facts)
        scorers = {name: spec.build("cpu") for name, spec in self.plan.metrics.items()}
        with store.transaction():
            self._cells(store, run, scorers)
        store.finish_run(run)
        return Results(store, self.name, self.folder)

    def _cells(self, store: Store, run: int, scorers: Mapping[str, Any]) -> None:
        provenance = coordinator.provenance_of(self.plan, self.plan.works[0])
        revisions, rule, position = self.plan.revisions, self.plan.protocol.scoring, 0
        for noise in self.plan.noises:
            for image, clean in self.pictures.items():
                digest = digests.of_pixels(clean)
                key = cases.key(digest, noise.named, noise.spec.revision, 0)
                case = cases.make(clean, key, noise.named, noise.spec, self.plan.protocol.input, "known")
                for index, method in enumerate(self.methods):
                    output = digests.of_parts(key, method)
                    cell = Cell("invented", image, digest, noise.named.text, 0, method, "known", key, output)
                    denoised = clean + (case.noisy - clean) / (2 + index)  # the more methods, the better they get
                    outcome = self._outcome(cell, case, denoised, scorers)
                    if outcome.status == "ok":
                        stored_images.save(store.images, outcome.output_digest, denoised)
                    saved = store.save(cell, outcome, rule.digest, revisions, provenance)
                    store.add_cells(run, [(position, saved, cell)])
                    position += 1

    def _outcome(self, cell: Cell, case: Any, denoised: Any, scorers: Mapping[str, Any]) -> Outcome:
        if problem := self.problem(cell.image, cell.method):
            return Outcome(cell.output, problem[0], problem[1])  # type: ignore[arg-type]
        scores = scoring.score(denoised, case.clean, self.plan.protocol.scoring, self.plan.metrics, scorers)
        return Outcome(
            cell.output, "ok", seconds=0.01 * (1 + len(cell.method)), noisy_digest=case.noisy_digest,
            output_digest=digests.of_pixels(denoised), scores=scores,
        )  # fmt: skip


@pytest.fixture(scope="session")
def invent() -> Callable[..., Results]:
    """`invent(folder, pictures, methods, noises)` writes a run of these; the clean images lie in `folder/clean`."""

    def write(
        folder: Path, pictures: Mapping[str, Any], methods: Sequence[str], noises: Sequence[str], *,
        name: str = "invented", metrics: Sequence[str] = ("psnr",), problem: Problem = lambda image, method: None,
    ) -> Results:  # fmt: skip
        (folder / "clean").mkdir(parents=True)
        for image, clean in pictures.items():
            if "/" not in image:
                images.write_png(folder / "clean" / f"{image}.png", clean)
        plan = api.plan(methods=["noisy"], noise=list(noises), dataset="sk12", images=["01"], metrics=list(metrics))
        return Invented(folder, name, pictures, methods, plan, problem).write()

    return write

"""The facts of a run, and what stands behind an output: the records that the store keeps as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mdnbench.evaluation.protocols import ImageRule, Protocol
from mdnbench.spec.records import Environment


@dataclass(frozen=True, slots=True)
class Rules:
    """A protocol in full, so that kept outputs can be scored by it again when its file is gone."""

    version: int
    input: ImageRule
    scoring: ImageRule


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """A metric as the run knew it; `tolerance` is what its spec lets a mean change between retrained weights."""

    direction: Literal["higher", "lower"]
    unit: str
    digits: int
    tolerance: float
    packages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """A method as the run knew it: its revision, its packages' versions, and what it asks for of the noise."""

    revision: str
    packages: Mapping[str, str]
    wants: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What defines a run: everything that stands above its tables, and what `check` compares with a baseline.

    Attributes:
        dataset_folder: the folder of images, empty for a plugin's data set.
        images: each image's digest, by its id.
        protocol_hash: eight characters that stand next to the protocol's name.
        scoring_rule: the digest of the scoring rule, under which scores are stored.
        metrics: each metric's revision, by name.
        scored_as: the revision and code of each metric, by name: what its scores are stored under.
        unavailable: why a metric could not be computed, by name.
        noises: each noise's revision, by name.
        named: the methods that were asked for by name, and not through `all` alone.
        plugins: what brings each 'method NAME', 'noise NAME' and 'metric NAME'.
        environment: the machine that the cells ran on, and versions.
        machines: the environment of each machine by its id, if other machines than the coordinator's computed.

    """

    dataset: str
    dataset_digest: str
    dataset_folder: str
    images: Mapping[str, str]
    protocol: str
    protocol_hash: str
    rules: Rules
    scoring_rule: str
    metrics: Mapping[str, str]
    scored_as: Mapping[str, str]
    metric_facts: Mapping[str, MetricFacts]
    unavailable: Mapping[str, str]
    seeds: int
    noise_info: str
    noises: Mapping[str, str]
    methods: Mapping[str, MethodFacts]
    named: tuple[str, ...]
    plugins: Mapping[str, str]
    device: str
    notes: tuple[str, ...]
    environment: Environment
    machines: Mapping[str, Environment] = field(default_factory=dict)

    @property
    def made_under(self) -> Protocol:
        """The protocol that the run was made under."""
        return Protocol(self.protocol, self.rules.version, "", self.rules.input, self.rules.scoring)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What stands behind an output: revisions, versions, weights, machine.

    `weights` and `weights_digest` are empty for a method without weights; `machine` is the id of the one that the
    method ran on.
    """

    revision: str
    noise_revision: str
    input_rule: str
    packages: Mapping[str, str]
    weights: str
    weights_digest: str
    plugin: str
    device: str
    machine: str
    mdnbench: str

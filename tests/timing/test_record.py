"""The statistics of a timing record: those that pytest-benchmark itself computes, whose format the record has."""

from __future__ import annotations

import random

from pytest_benchmark.stats import Stats

from mdnbench.timing import record
from mdnbench.util import codec


def test_the_statistics_are_those_of_pytest_benchmark() -> None:
    """Of one call to forty, scattered, with outliers, or all alike: every field to the last bit."""
    rng = random.Random(1)
    for many in [*range(1, 41)] * 5:
        calls = [rng.choice([rng.random(), 0.5, rng.lognormvariate(0, 1)]) for _ in range(many)]
        for seconds in (calls, calls[:1] * many):
            theirs = Stats()
            for each in seconds:
                theirs.update(each)
            ours = codec.to_plain(record._stats(seconds))
            assert ours == theirs.as_dict() | {"data": tuple(seconds), "iterations": 1}

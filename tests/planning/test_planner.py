"""The size of a plan: what is multiplied out, and what is refused."""

from __future__ import annotations

import pytest

from mdnbench.errors import BadOption
from mdnbench.planning import planner
from mdnbench.planning.request import Request
from mdnbench.spec.names import with_commas
from mdnbench.util import limits


def test_a_plan_as_large_as_allowed_passes() -> None:
    """Up to the limit, and no cell further."""
    planner.require_size(Request(seeds=100), 10, 10, limits.MAX_CELLS // 10_000)
    with pytest.raises(BadOption, match="are 10,010,000 cells, and at most 10,000,000 are allowed"):
        planner.require_size(Request(seeds=100), 10, 10, limits.MAX_CELLS // 10_000 + 1)


def test_pairs_of_methods_and_noises_have_a_limit_of_their_own() -> None:
    """Each pair is looked up by itself, however few cells it has."""
    with pytest.raises(BadOption, match="10,000 methods under 10,000 noises are 100,000,000 pairs"):
        planner.require_size(Request(), 10_000, 10_000, 1)


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (10**12, "1,000,000,000,000"), (10**40, "about 10^40")])
def test_numbers_are_readable(number: int, text: str) -> None:
    """In full as long as anyone reads them."""
    assert with_commas(number) == text

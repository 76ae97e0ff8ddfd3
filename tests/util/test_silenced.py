"""Silence for libraries' warnings, in one thread and in several."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from mdnbench.registry import load
from mdnbench.util.silenced import without_warnings


def test_nothing_is_heard_inside_and_all_is_after() -> None:
    """Warnings, errors in these tests, pass unheard inside, nested too, and an exception ends the silence as well."""
    with without_warnings(), without_warnings():
        warnings.warn("nobody hears this", stacklevel=1)
    with pytest.raises(KeyError), without_warnings():
        raise KeyError
    with pytest.raises(UserWarning):
        warnings.warn("everybody hears this", stacklevel=1)


def test_threads_that_leave_in_another_order_leave_nothing_behind() -> None:
    """The first one in leaves first: the filters are what they were once both are out, and silent until then."""
    before, entered, left = list(warnings.filters), threading.Event(), threading.Event()

    def second() -> None:
        with without_warnings():
            entered.set()
            assert left.wait(10)
            warnings.warn("nobody hears this", stacklevel=1)

    with ThreadPoolExecutor(1) as pool:
        with without_warnings():
            done = pool.submit(second)
            assert entered.wait(10)
        left.set()
        done.result()
    assert warnings.filters == before


def test_images_read_in_threads_leave_the_filters_alone() -> None:
    """As where overlaps of data sets are looked for."""
    dataset, before = load().datasets["sk12"], list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(dataset.load, dataset.images * 2))) == 24
    assert warnings.filters == before

"""Which slot takes which cell: its own method first, the unknown early, the longest work ahead, nothing twice."""

from __future__ import annotations

import heapq
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from mdnbench.engine.schedule import JobQueue, Schedule
from mdnbench.engine.tasks import Task
from mdnbench.spec.records import Cell

few = settings(derandomize=True, max_examples=60, deadline=None)


def task(job: int, position: int, pixels: int = 100) -> Task:
    """A task of a job; only its place and size matter here."""
    cell = Cell("d", str(position), "", "n", 0, str(job), "known", "", f"{job}-{position}")
    return Task(position, cell, job, pixels, (), False)


def queue(job: int, sizes: list[int], model: int | None = None) -> JobQueue:
    """A job's queue with tasks of these sizes."""
    return JobQueue(job, (task(job, place, pixels) for place, pixels in enumerate(sizes)), sum(sizes), model)


def taken(schedule: Schedule, job: int = -1, busy: dict[int, int] | None = None) -> Task:
    """The next task, which must exist."""
    found = schedule.next_task(job, busy or {})
    assert found is not None
    return found


def test_a_slot_stays_with_its_method_while_there_is_any() -> None:
    """A loaded model is worth keeping: the own job comes first, then another, then none."""
    schedule = Schedule([queue(0, [100]), queue(1, [100, 100])])
    assert [taken(schedule, 1).job for _ in range(3)] == [1, 1, 0]
    assert schedule.next_task(1, {}) is None


def test_a_slot_loads_a_model_once() -> None:
    """When its job is done, a slot goes on with one whose model it has, before any other, however long or new."""
    queues = [queue(job, [100] * 3, model) for job, model in enumerate((0, 1, 2, 0, 1, 2))]
    assert [taken(Schedule(queues), 3).job for _ in range(6)] == [3, 3, 3, 0, 0, 0]
    queues = [queue(0, [100], 0), queue(1, [100] * 99, 1), queue(2, [100], 0)]
    queues[1].measured(task(1, 0), 9.0)
    schedule = Schedule(queues)
    assert [taken(schedule, job).job for job in (0, 0, 2)] == [0, 2, 1]


def test_methods_whose_speed_is_unknown_come_first() -> None:
    """A job that nobody has tried goes before one that is known to be fast, unless another slot is on it."""
    known, unknown = queue(0, [100] * 9), queue(1, [100])
    schedule = Schedule([known, unknown])
    known.measured(task(0, 0), 5.0)
    assert taken(schedule).job == 1
    schedule = Schedule([known, queue(1, [100, 100])])
    assert taken(schedule, busy={1: 1}).job == 0


def test_the_longest_work_ahead_comes_first() -> None:
    """Seconds decide, not the number of cells, and they count per slot that is on the job already."""
    slow, fast = queue(0, [100] * 4), queue(1, [100] * 40)
    slow.measured(task(0, 0), 10.0)
    fast.measured(task(1, 0), 0.5)
    assert taken(Schedule([slow, fast])).job == 0
    assert taken(Schedule([slow, fast]), busy={0: 1}).job == 1


def test_long_tasks_are_handed_out_one_by_one() -> None:
    """A slot holds one long task, two short ones, and many that are shorter than the hand-over."""
    work = queue(0, [100] * 9)
    schedule = Schedule([work])
    assert schedule.depth(task(0, 0)) == 1
    work.measured(task(0, 0), 2.0)
    assert schedule.depth(task(0, 0)) == 1
    work = queue(0, [100] * 9)
    work.measured(task(0, 0), 0.5)
    assert Schedule([work]).depth(task(0, 0)) == 2
    work = queue(0, [100] * 9)
    work.measured(task(0, 0), 0.001)
    assert Schedule([work]).depth(task(0, 0)) == 16


def test_what_was_given_back_comes_next() -> None:
    """A task whose worker died before it began is handed out again, before the others."""
    work = queue(0, [300, 200, 100])
    schedule = Schedule([work])
    first = taken(schedule)
    work.give_back(first)
    assert [taken(schedule).position for _ in range(3)] == [0, 1, 2]


def test_tasks_are_drawn_one_by_one() -> None:
    """A plan of a million cells is not made before the first one runs."""
    drawn = []

    def endless() -> object:
        for position in range(10**6):
            drawn.append(position)
            yield task(0, position)

    schedule = Schedule([JobQueue(0, endless(), 10**8)])  # type: ignore[arg-type]
    for _ in range(5):
        taken(schedule, 0)
    assert len(drawn) <= 6


@few
@given(
    jobs=st.lists(st.lists(st.integers(1, 1000), max_size=8), min_size=1, max_size=5),
    slots=st.lists(st.integers(-1, 4), min_size=1, max_size=3),
    seconds=st.lists(st.floats(0.001, 10), min_size=1, max_size=5),
)
def test_every_task_is_handed_out_exactly_once(jobs: list[list[int]], slots: list[int], seconds: list[float]) -> None:
    """Whatever the slots are on and however fast the jobs turn out, nothing is lost and nothing comes twice."""
    queues = [queue(number, sizes) for number, sizes in enumerate(jobs)]
    schedule, seen, turn = Schedule(queues), [], 0
    while True:
        found = schedule.next_task(slots[turn % len(slots)], {})
        if found is None:
            break
        seen.append((found.job, found.position))
        schedule.queue(found.job).measured(found, seconds[turn % len(seconds)])
        turn += 1
    assert sorted(seen) == [(job, place) for job, sizes in enumerate(jobs) for place in range(len(sizes))]
    assert all(each.pixels == 0 for each in queues)


SET12 = [512 * 512] * 5 + [256 * 256] * 7


def played(speeds: list[float], noises: int, slots: int) -> tuple[float, list[float], Counter[tuple[int, int]]]:
    """A run in a time of its own: methods of these seconds per megapixel on Set12 under several noises.

    Gives the seconds of work, when each slot ran dry for good, and how often each slot loaded each model.
    """
    queues = [queue(job, SET12, job % len(speeds)) for job in range(noises * len(speeds))]
    schedule, clock, ends = Schedule(queues), 0.0, [0.0] * slots
    at, idle, loads, loaded = [-1] * slots, set(range(slots)), Counter[tuple[int, int]](), [-1] * slots
    busy: list[tuple[float, int, Task, float]] = []
    while idle or busy:
        for slot in sorted(idle):
            found = schedule.next_task(at[slot], Counter(at[other] for _, other, _, _ in busy))
            if found is None:
                continue
            seconds = speeds[found.job % len(speeds)] * found.pixels / 1e6
            if loaded[slot] != found.job % len(speeds):
                loaded[slot] = found.job % len(speeds)
                loads[slot, loaded[slot]] += 1
            at[slot] = found.job
            idle.remove(slot)
            heapq.heappush(busy, (clock + seconds, slot, found, seconds))
        if not busy:
            break
        clock, slot, done, seconds = heapq.heappop(busy)
        schedule.queue(done.job).measured(done, seconds)
        ends[slot] = clock
        idle.add(slot)
    return sum(speeds) * sum(SET12) * noises / 1e6, ends, loads


@few
@given(
    speeds=st.lists(st.floats(0.1, 60), min_size=1, max_size=9), noises=st.integers(1, 6),
    slots=st.sampled_from([1, 2, 4, 8, 16]),
)  # fmt: skip
def test_the_last_minute_is_not_one_cores(speeds: list[float], noises: int, slots: int) -> None:
    """Whatever the methods' speeds, no core waits at the end for longer than the longest cell takes.

    And on the way each slot loads each model once at the most.
    """
    work, ends, loads = played(speeds, noises, slots)
    longest = max(speeds) * SET12[0] / 1e6
    assert max(ends) - min(ends) <= longest + 1e-6
    assert max(ends) <= work / slots + longest + 1e-6
    assert set(loads.values()) == {1}


def test_the_main_job_keeps_both_cores_busy_to_the_end() -> None:
    """BM3D, DnCNN and a U-Net on Set12, at their measured speeds: the second core waits for less than a second."""
    _, ends, _ = played([30.0, 9.0, 19.0], 1, 2)
    assert max(ends) - min(ends) < 1.0

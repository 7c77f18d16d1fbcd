from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.scheduling import FromBothEnds

_FILES = [f"tests/test_{number}.py" for number in range(6)]
_TESTS = [f"{file}::test_{name}" for file in _FILES for name in ("one", "two", "three")]


class Process:
    """As in pytest-xdist: it runs a test once it knows the next, or that there is none."""

    gateway = SimpleNamespace(id="gw")

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        self.waiting += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    def next(self) -> int | None:
        ready = len(self.waiting) > 1 or (self.waiting and self.shutting_down)
        return self.waiting.pop(0) if ready else None


def started(*processes: Process) -> Any:
    option = SimpleNamespace(tx=["popen"] * len(processes), loadscopereorder=True)
    config = SimpleNamespace(option=option, getvalue=lambda name: getattr(option, name))
    scheduler: Any = FromBothEnds(config)  # type: ignore[arg-type]
    for process in processes:
        join(scheduler, process)
    scheduler.schedule()
    return scheduler


def join(scheduler: Any, process: Process) -> None:
    scheduler.add_node(process)
    scheduler.add_node_collection(process, _TESTS)


def run(scheduler: Any, process: Process, most: int = 100) -> list[str]:
    done = []
    while len(done) < most and (index := process.next()) is not None:
        done.append(_TESTS[index])
        scheduler.mark_test_complete(process, index)
    return done


def test_one_process_takes_files_from_the_front_the_other_from_the_back() -> None:
    front, back = Process(), Process()
    scheduler = started(front, back)
    assert run(scheduler, front, 3) == _TESTS[:3]
    assert run(scheduler, back, 3) == _TESTS[-3:]


def test_a_run_ends_although_a_process_crashed_that_had_finished_files() -> None:
    front, back, instead = Process(), Process(), Process()
    scheduler = started(front, back)
    done = run(scheduler, front, 10)
    crashed = front.waiting[0]
    assert scheduler.remove_node(front) == _TESTS[crashed]
    join(scheduler, instead)
    scheduler.schedule()
    for process in (back, instead, back, instead):
        done += run(scheduler, process)
    assert sorted(done) == sorted(_TESTS)
    assert back.shutting_down
    assert instead.shutting_down

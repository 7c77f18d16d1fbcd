"""Chooses which windows the machine takes up next, and how many at once."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.inference.batch import Task, answer
from jack_stream.inference.cost import Cost
from jack_stream.inference.pace import Pace
from jack_stream.inference.queue import Job, WindowQueue
from jack_stream.models.registry import Model

__all__ = ["Batch", "Scheduler"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of one model that were answered together.

    Attributes:
        jobs: the windows.
        tasks: what became of each.
        free_ns: when the machine was free for them; those that came later joined.
        started_ns: when they were taken up.
        done_ns: when all had their answers.
    """

    jobs: list[Job]
    tasks: list[Task]
    free_ns: int
    started_ns: int
    done_ns: int


class Scheduler:
    """Takes windows from a queue and answers them, one batch after the other.

    It takes up what waits as soon as the machine is free. Only if the measured cost says that all
    have their results sooner for it, it waits for one more: see :class:`Cost`.

    Args:
        queue: where windows wait.
        clock: the time line.
        costs: model -> what its windows cost, as measured before; refined from now on.
        pace: is told what each window cost; none if absent.
    """

    def __init__(
        self,
        queue: WindowQueue,
        clock: TimeSource,
        costs: Mapping[Model, Cost] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._pace = pace
        self._costs: defaultdict[Model, Cost] = defaultdict(Cost, costs or {})

    def next(self, timeout_s: float) -> Batch | None:
        """Answer the windows whose turn it is; None if there are none for so long."""
        if not self._queue.wait(timeout_s):
            return None
        free_ns = self._clock.now_ns()
        jobs = self._choose(free_ns)
        started_ns, began_s = self._clock.now_ns(), time.perf_counter()
        model = jobs[0].analyzer.model
        tasks = [Task(job.analyzer.look(job.window)) for job in jobs]
        cost = self._costs[model]
        answer(tasks, cost.observe)
        for task in tasks:
            if task.rows:
                cost.observe_window(task.rows)
        took_s = time.perf_counter() - began_s
        self._queue.charge(model, took_s)
        if self._pace is not None:
            for job in jobs:
                self._pace.charge(job, took_s / len(jobs))
            self._pace.adjust(started_ns)
        return Batch(jobs, tasks, free_ns, started_ns, self._clock.now_ns())

    def _choose(self, free_ns: int) -> list[Job]:
        while True:
            turn = self._queue.turn()
            assert turn is not None, "nobody else takes windows away"  # noqa: S101
            cost = self._costs[turn.model]
            size = cost.best_size(turn.windows)
            patience_s = (
                cost.patience_s(turn.windows) if turn.alone and size == turn.windows else 0.0
            )
            left_s = patience_s - (self._clock.now_ns() - free_ns) / NS_PER_S
            if turn.gap_s >= left_s:
                return self._queue.take(turn.model, size)
            self._queue.wait_for_another(left_s)

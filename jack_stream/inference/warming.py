"""Lets the models answer made-up windows: kernels are compiled, and costs are measured."""

from __future__ import annotations

from collections.abc import Iterator

from jack_stream.inference.analyzer import Analyzer
from jack_stream.inference.batch import Task, Watch, answer
from jack_stream.inference.cost import Cost
from jack_stream.window.spec import Window

__all__ = ["warm_up"]

_GAIN = 0.95
"""If twice as many windows at once don't cost less than this each, more are not tried."""
_MOST = 32
_LONGEST_S = 1.0


def warm_up(analyzer: Analyzer) -> Cost:
    """Answer made-up windows alone and together, until more at once gain little.

    Each number is tried twice, because a network prepares something for every new size of its
    inputs, and measured at the second. Jittor compiles no kernel for a size.

    Args:
        analyzer: one that sees nothing else.

    Returns:
        What the model's windows cost.

    Raises:
        JackError: the model can't answer.
    """
    cost, windows = Cost(), analyzer.examples()
    _look(analyzer, windows, 1)  # in the first window all is new
    size, each_s = 1, float("inf")
    while size == 1 or (size <= _MOST and size * each_s <= _LONGEST_S):
        _look(analyzer, windows, size)
        for task in _look(analyzer, windows, size, cost.observe):
            cost.observe_window(task.rows)
        before_s, each_s = each_s, cost.seconds(size) / size
        if each_s > _GAIN * before_s:
            break
        size *= 2
    return cost


def _look(
    analyzer: Analyzer, windows: Iterator[Window], count: int, watch: Watch = lambda *_: None
) -> list[Task]:
    tasks = [Task(analyzer.look(next(windows))) for _ in range(count)]
    answer(tasks, watch)
    for task in tasks:
        if isinstance(task.outcome, Exception):
            raise task.outcome
    return tasks

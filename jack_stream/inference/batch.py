"""Answers what several looks ask of a network, together where they ask the same."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from jack_stream import trace
from jack_stream.inference.analyzer import Analyzer, Arrays, Ask, Look, Prediction, Step
from jack_stream.window.spec import Window

__all__ = ["Outcome", "Task", "Watch", "answer", "predict"]

Outcome: TypeAlias = list[Prediction] | Exception
Watch: TypeAlias = Callable[[Step, int, float], None]
"""Is told how many rows a step answered at once, and in how many seconds."""


class Task:
    """A look on its way, prepared up to its first question.

    Attributes:
        ask: what it asks; None when it is done.
        outcome: its predictions, or what went wrong; nothing before it is done.
        rows: rows that it asked for so far, by step.
    """

    def __init__(self, look: Look) -> None:
        self.ask: Ask | None = None
        self.outcome: Outcome = []
        self.rows: dict[Step, int] = {}
        self._look = look
        self._go_on(lambda: next(look))

    def tell(self, answer: Arrays | Exception) -> None:
        """Go on with the answer to the question; what went wrong ends the look."""
        if isinstance(answer, Exception):
            self._look.close()
            self.ask, self.outcome = None, answer
        else:
            self._go_on(lambda: self._look.send(answer))

    def _go_on(self, resume: Callable[[], Ask]) -> None:
        try:
            self.ask = resume()
        except StopIteration as end:
            self.ask, self.outcome = None, end.value
        except Exception as error:  # noqa: BLE001 - whatever is raised costs one window only
            self.ask, self.outcome = None, error
        else:
            step = self.ask.step
            self.rows[step] = self.rows.get(step, 0) + _count(self.ask.rows)


def answer(tasks: Sequence[Task], watch: Watch = lambda *_: None) -> None:
    """Answer tasks until all are done, in their order where they ask the same.

    A task gets the answer that it would get alone, to float rounding. If a step fails for several
    at once, each is answered by itself, so that one fails only for what it asked.

    Args:
        tasks: looks on their way; those of one stream in the order of its windows.
        watch: is told what each call cost.
    """
    while asking := [task for task in tasks if task.ask is not None]:
        groups: defaultdict[object, list[tuple[Task, Ask]]] = defaultdict(list)
        for task in asking:
            if (ask := task.ask) is not None:
                groups[_kind(ask)].append((task, ask))
        for members in groups.values():
            asks = [ask for _, ask in members]
            for (task, _), given in zip(members, _answers(asks, watch), strict=True):
                task.tell(given)


def predict(analyzer: Analyzer, window: Window) -> list[Prediction]:
    """Look at one window by itself.

    Raises:
        Exception: what went wrong.
    """
    task = Task(analyzer.look(window))
    answer([task])
    if isinstance(task.outcome, Exception):
        raise task.outcome
    return task.outcome


def _kind(ask: Ask) -> object:
    """What asks must have in common to be answered together."""
    shapes = tuple(sorted((name, rows.shape[1:]) for name, rows in ask.rows.items()))
    return ask.step, shapes


def _count(rows: Arrays) -> int:
    return len(next(iter(rows.values()))) if rows else 0


def _answers(asks: Sequence[Ask], watch: Watch) -> list[Arrays | Exception]:
    try:
        return list(_together(asks, watch))
    except Exception as error:  # noqa: BLE001 - whatever a library raises costs one window only
        if len(asks) == 1:
            return [error]
    return [given for ask in asks for given in _answers([ask], watch)]


def _together(asks: Sequence[Ask], watch: Watch) -> list[Arrays]:
    step, counts = asks[0].step, [_count(ask.rows) for ask in asks]
    if not sum(counts):
        return [{} for _ in asks]
    rows = {name: _joined([ask.rows[name] for ask in asks]) for name in asks[0].rows}
    found = []
    for first in range(0, sum(counts), step.most):
        some = {name: value[first : first + step.most] for name, value in rows.items()}
        began_s = time.perf_counter()
        with trace.span("model", f"{step.model.method} {step.name}", rows=_count(some)):
            found.append(step.run(some))
        watch(step, _count(some), time.perf_counter() - began_s)
    outputs = {name: _joined([one[name] for one in found]) for name in found[0]}
    ends = np.cumsum(counts).tolist()
    return [
        {name: value[end - count : end] for name, value in outputs.items()}
        for count, end in zip(counts, ends, strict=True)
    ]


def _joined(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)

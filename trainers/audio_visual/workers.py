"""Samples made ready in other processes while the network computes, in a fixed order.

Processes, because Jittor holds Python's lock while it computes: threads would stand still. What a
sample is depends on its job alone, never on who made it or when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from jack_stream.closing import Closing
from trainers.processes import helpers

__all__ = ["Ahead", "Job", "Workers"]

Job = tuple[Any, ...]
"""Arguments of the function that makes a sample; they go to another process."""

T = TypeVar("T")
_AHEAD = 2


class Workers(Closing):
    """Processes that make samples. They end with the process that started them, however it ends.

    Args:
        count: processes; 0 makes everything in this one, when it is asked for.
    """

    def __init__(self, count: int) -> None:
        self._pool = helpers(count) if count else None

    def close(self) -> None:
        """End the processes; what has not begun is given up."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def start(self, make: Callable[..., T], jobs: Sequence[Job]) -> Callable[[], list[T]]:
        """Begin with some jobs; what is returned waits for all of them."""
        if self._pool is None:
            return lambda: [make(*job) for job in jobs]
        futures: list[Future[T]] = [self._pool.submit(make, *job) for job in jobs]
        return lambda: [future.result() for future in futures]


class Ahead(Sequence[list[T]], Generic[T]):
    """Batches of samples, of which the next ones are always being made.

    Args:
        workers: who makes them.
        make: from a job's arguments to a sample.
        batches: the jobs of every batch.
    """

    def __init__(
        self, workers: Workers, make: Callable[..., T], batches: Sequence[Sequence[Job]]
    ) -> None:
        self._workers, self._make, self._batches = workers, make, batches
        self._begun: dict[int, Callable[[], list[T]]] = {}

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[T]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        """A batch, whose successors are begun; of a slice, the same for some of the batches."""
        if isinstance(index, slice):
            return Ahead(self._workers, self._make, self._batches[index])
        for near in range(index, min(index + 1 + _AHEAD, len(self))):
            if near not in self._begun:
                self._begun[near] = self._workers.start(self._make, self._batches[near])
        return self._begun.pop(index)()

"""Programs that subscribe, run against a real publisher."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from jack_stream.events.publisher import EventPublisher
from jack_stream.events.schema import Event

__all__ = ["started", "until_printed"]

_ROOT = Path(__file__).resolve().parents[1]
_PUBLISH_EVERY_S = 0.1
_PATIENCE = 600


@contextmanager
def started(command: Sequence[str | Path], folder: Path = _ROOT) -> Iterator[queue.Queue[str]]:
    """The lines that a program prints while the block runs; an empty one when it has ended."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
    assert process.stdout is not None
    lines: queue.Queue[str] = queue.Queue()

    def read(stream: IO[str]) -> None:
        for line in stream:
            lines.put(line)
        lines.put("")

    reader = threading.Thread(target=read, args=(process.stdout,))
    reader.start()
    try:
        yield lines
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


def until_printed(
    publisher: EventPublisher,
    events: Iterator[Event],
    printed: queue.Queue[str],
    wanted: Callable[[str], bool],
) -> str:
    """Publish until a wanted line comes: what is sent before a subscription arrives is lost."""
    for _ in range(_PATIENCE):
        publisher.publish(next(events))
        try:
            line = printed.get(timeout=_PUBLISH_EVERY_S)
        except queue.Empty:
            continue
        if not line:
            raise AssertionError("the program ended")
        if wanted(line):
            return line
    raise TimeoutError("it was not printed in a minute")

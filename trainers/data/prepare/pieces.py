"""Work that is done piece by piece: in parallel, with a progress bar, and again from where it was.

A piece's result is whole or absent: it is made under another name and renamed. So after a kill the
same command goes on with what is not there yet.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from jack_stream.errors import SourceError, UsageError
from trainers.data.clip import Fault
from trainers.processes import helpers

__all__ = ["Piece", "make_all", "partial"]

_LISTED = 20


class Piece(Protocol):
    """One video's share of the work; it is sent to other processes."""

    @property
    def name(self) -> str:
        """What to call it."""

    def done(self) -> bool:
        """Whether its result is there."""

    def make(self) -> None:
        """Make its result; a `SourceError` if the video can't be used."""


def make_all(
    pieces: Sequence[Piece], what: str, *, jobs: int = 1, skip_corrupt: bool = False
) -> list[Fault]:
    """Make every piece whose result is not there yet.

    Args:
        pieces: the work.
        what: a word for the progress bar.
        jobs: processes; 1 works in this one.
        skip_corrupt: return what can't be used instead of raising at the end.

    Returns:
        The videos that can't be used.

    Raises:
        SourceError: some can't be used; all others are made none the less.
        UsageError: the results can't be written.
    """
    todo = [piece for piece in pieces if not piece.done()]
    faults = []
    progress = tqdm(total=len(pieces), initial=len(pieces) - len(todo), desc=what, disable=None)
    with progress:
        for fault in _outcomes(todo, jobs):
            progress.update()
            if fault is not None:
                faults.append(fault)
    if faults and not skip_corrupt:
        listed = "\n  ".join(f"{fault.name}: {fault.reason}" for fault in faults[:_LISTED])
        more = f"\n  and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
        raise SourceError(
            f"{len(faults)} of {len(pieces)} videos can't be used:\n  {listed}{more}",
            hint="Repair or remove them and go on with the same command, or leave them out with "
            "--skip-corrupt.",
        )
    return faults


@contextmanager
def partial(target: Path) -> Iterator[Path]:
    """A name beside ``target`` to write to; it becomes ``target`` when all went well."""
    beside = target.with_name(f".partial-{target.name}")
    beside.parent.mkdir(parents=True, exist_ok=True)
    yield beside
    beside.replace(target)


def _outcomes(todo: Sequence[Piece], jobs: int) -> Iterator[Fault | None]:
    if jobs == 1 or len(todo) < 2:
        yield from map(_made, todo)
        return
    pool = helpers(min(jobs, len(todo)))
    try:
        with _interrupts_ignored():  # by the processes that this starts
            futures = [pool.submit(_made, piece) for piece in todo]
        for future in as_completed(futures):
            yield future.result()
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def _made(piece: Piece) -> Fault | None:
    try:
        piece.make()
    except SourceError as error:
        return Fault(piece.name, str(error))
    except OSError as error:
        raise UsageError(f"{error.filename or piece.name}: {error.strerror}") from None
    return None


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes that are started meanwhile leave Ctrl-C to this one, from their first moment."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

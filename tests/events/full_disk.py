"""Fills the disk under a journal and empties it again; prints what happened as JSON.

    python -m tests.events.full_disk FOLDER

FOLDER is on a file system of its own, a few hundred kilobytes large.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from pathlib import Path

import jack_stream.events.process
from tests.events.houses import House
from tests.faults.journal_kills import integrity


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 512)
    assert shutil.disk_usage(path).free == 0


def main(folder: Path) -> None:
    jack_stream.events.process._TRY_AGAIN_S = 0.1
    house = House(folder)
    with house.running(), house.feed() as feed, house.subscribe() as client:

        def sent(count: int) -> list[bool]:
            """Whether each of so many new events is in the journal."""
            house.send(feed, count)
            taken = [client.next(20) for _ in range(count)]
            return [event is not None and event.position is not None for event in taken]

        house.until(lambda: client.next(0.05) is None and client.position is not None)
        before = sum(sent(10))
        _fill(folder / "fill")
        while all(sent(1)):  # what SQLite had room for
            before += 1
        kept = sent(20)
        detail = house.health().detail
        (folder / "fill").unlink()
        while house.health().state == "degraded":
            sent(1)
        after = sum(sent(20))
    print(  # noqa: T201 - for the one who started it
        json.dumps({
            "kept_before": before, "not_kept": kept.count(False), "detail": detail,
            "kept_after": after, "missed": client.missed,
            "integrity": integrity(house.config.journal_path),
        })
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))

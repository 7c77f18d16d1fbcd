"""A browser gets pictures as fast as it draws them, and all text or none."""

from __future__ import annotations

import asyncio

from jack_stream.view.page.viewer import Said, Viewer


def test_the_next_picture_goes_out_when_the_last_is_drawn() -> None:
    async def main() -> None:
        viewer, first, second = Viewer(["door", "hall"]), object(), object()
        assert viewer.wants("door", first) is not None
        viewer.sent("door", first)
        assert viewer.wants("door", second) is None
        assert viewer.wants("hall", first) is not None
        viewer.hear(Said("door"))
        assert viewer.wants("door", first) is None  # it has that one
        assert viewer.wants("door", second) is not None

    asyncio.run(main())


def test_what_can_not_be_seen_is_not_sent_and_what_is_large_is_sent_large() -> None:
    async def main() -> None:
        viewer = Viewer(["door"])
        small = viewer.wants("door", object())
        viewer.hear(Said("door", "none"))
        assert viewer.wants("door", object()) is None
        viewer.hear(Said("door", "large"))
        large = viewer.wants("door", object())
        assert small is not None
        assert large is not None
        assert large.width > small.width

    asyncio.run(main())


def test_a_stream_that_nobody_knows_changes_nothing() -> None:
    async def main() -> None:
        viewer = Viewer(["door"])
        viewer.hear(Said("../../etc/passwd"))
        assert viewer.wants("door", object()) is not None

    asyncio.run(main())


def test_who_takes_nothing_is_dismissed() -> None:
    async def main() -> None:
        viewer = Viewer(["door"])
        sent = 0
        while viewer.send("event"):
            sent += 1
            assert sent < 100_000
        viewer.dismiss()
        assert await viewer.waiting.get() is None

    asyncio.run(main())

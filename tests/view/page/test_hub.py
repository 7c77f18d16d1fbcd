"""Who comes late is told how things stand, and who comes to a long past loses nothing of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from jack_stream.config import Config, parse
from jack_stream.events.publisher import EventPublisher
from jack_stream.view.page.hub import Hub
from jack_stream.view.page.viewer import Viewer
from tests.events.making import alert, event


@pytest.fixture
def config(tmp_path: Path) -> Config:
    events = {"endpoint": f"ipc://{tmp_path}/events", "health_endpoint": f"ipc://{tmp_path}/health"}
    runtime = {"directory": str(tmp_path)}
    streams = [{"name": "door", "camera": {"source": "0"}}]
    view = {"show_faces": True}  # needs no detector
    return parse({"runtime": runtime, "events": events, "streams": streams, "view": view}, "test")


def _with_hub(config: Config, use: Callable[[Hub, EventPublisher], Awaitable[None]]) -> None:
    """Run a hub, which hears what is published, while something uses it."""

    async def main() -> None:
        hub = Hub(config)
        working = asyncio.create_task(hub.run())
        with EventPublisher(config.events.endpoint) as publisher:
            await use(hub, publisher)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    asyncio.run(asyncio.wait_for(main(), 60))


async def _told(hub: Hub) -> list[dict[str, Any]]:
    viewer = Viewer(["door"])
    hub.join(viewer)
    hub.leave(viewer)
    return [json.loads(viewer.waiting.get_nowait() or "") for _ in range(viewer.waiting.qsize())]


def test_all_that_is_published_is_told(config: Config) -> None:
    async def use(hub: Hub, publisher: EventPublisher) -> None:
        viewer, told = Viewer(["door"]), set[str]()
        hub.join(viewer)
        while not told >= {"emotion", "alert"}:
            publisher.publish(event())
            publisher.publish(alert())
            await asyncio.sleep(0.01)
            while not viewer.waiting.empty():
                told.add(json.loads(viewer.waiting.get_nowait() or "")["type"])

    _with_hub(config, use)


def test_an_alert_that_goes_on_is_told_however_long_ago_it_began(config: Config) -> None:
    async def use(hub: Hub, _: EventPublisher) -> None:
        hub.hear(alert(state="began"))
        for seq in range(3000):
            hub.hear(event(seq))
        (first, *_, last) = await _told(hub)
        assert first["type"] == "emotion"
        assert (last["type"], last["state"]) == ("alert", "began")
        hub.hear(alert(1, state="ended", reason="gone"))
        hub.hear(event(3000))
        assert (await _told(hub))[-1]["type"] == "emotion"

    _with_hub(config, use)


def test_who_comes_to_a_long_past_gets_its_newest_part_and_is_not_sent_away(
    config: Config,
) -> None:
    async def use(hub: Hub, _: EventPublisher) -> None:
        for seq in range(10_000):
            hub.hear(event(seq))
        viewer = Viewer(["door"])
        hub.join(viewer)
        hub.hear(event(10_000))
        assert hub.viewers == 1
        assert hub.counters["dismissed"] == 0
        told = [json.loads(viewer.waiting.get_nowait() or "")["seq"] for _ in range(1001)]
        assert told == [*range(9000, 10_001)]

    _with_hub(config, use)

"""The live page in a real browser, fed with made pictures, poses and events."""

from __future__ import annotations

import os
import queue
import re
import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from jack_stream.clock import NS_PER_S, Clock
from jack_stream.config import Config, dumps, parse
from jack_stream.events.journal import Journal
from jack_stream.events.publisher import EventPublisher
from jack_stream.events.schema import Alert, EventWindow
from jack_stream.testing import Scene
from jack_stream.wire.codec import encode
from jack_stream.wire.messages import Health, Stamp
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from tests.end_to_end.commands import started
from tests.events.making import alert, event

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
    pytest.mark.timeout(400),
]
WAIT_MS = 100_000
COLOURED = """() => {
  const canvas = document.querySelector(".timeline");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [red, green, blue] = data.slice(i, i + 3);
    const spread = Math.max(red, green, blue) - Math.min(red, green, blue);
    if (data[i + 3] > 200 && spread > 90) count++;
  }
  return count;
}"""


class FakeSystem:
    """Captures and inference of a walker whom nobody has to find."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clock = Clock()
        self._stop = threading.Event()
        self._session = "cafe0001"
        self._seq = 0
        self._trained = True
        self._alerts: queue.SimpleQueue[Alert] = queue.SimpleQueue()
        self._events = EventPublisher(config.events.endpoint)
        self._thread = threading.Thread(target=self._capture)
        self._thread.start()
        self._predicting = threading.Thread(target=self._predict)
        self._predicting.start()

    def restart_inference(self) -> None:
        """As the supervisor would: a new process on the same address, with weights of chance."""
        self._stop.set()
        self._predicting.join()
        self._events.close()
        self._stop.clear()
        self._session, self._seq, self._trained = "cafe0002", 0, False
        self._events = EventPublisher(self._config.events.endpoint)
        self._predicting = threading.Thread(target=self._predict)
        self._predicting.start()

    def alert(self, state: str, seconds: float) -> None:
        """Let an alert of one rule begin or end, which has held for so long."""
        now_ns = self._clock.now_ns()
        since_ns = self._since_ns = self._since_ns or now_ns - int(seconds * NS_PER_S)
        reason = "above" if state == "began" else "gone"
        self._alerts.put(
            alert(
                int(state == "ended"), state=state, reason=reason, since_ns=since_ns, at_ns=now_ns
            )
        )

    _since_ns = 0

    def close(self) -> None:
        self._closed = True
        self._stop.set()
        self._thread.join()
        self._predicting.join()
        self._events.close()

    _closed = False

    def _capture(self) -> None:
        scene = Scene(("happy",), seconds=600)
        ends = [self._config.capture_endpoint("door", name) for name in ("camera", "pose")]
        counters = {"windows_degraded.door.bpm-gcn": 2, "windows_degraded.other.bpm-gcn": 40}
        inference = Health(Stamp("", 0, 1, "a"), "inference", "running", counters)
        lost, rate = {"dropped_full": 3}, {"fps": 24.6}
        camera = Health(Stamp("door", 0, 1, "a"), "camera.door", "running", lost, rate)
        with ExitStack() as stack:
            said = stack.enter_context(zmq.Context.instance().socket(zmq.PUB))
            said.bind(self._config.events.health_endpoint)
            frames, poses = (
                stack.enter_context(Publisher(e, "door", policy=Policy.LIVE, clock=self._clock))
                for e in ends
            )
            pause, number = threading.Event(), 0
            while not self._closed:
                at_ns, number = self._clock.now_ns(), number + 1
                keypoints, world = scene.keypoints(number / 12)
                frames.frame(scene.frame(number / 12), at_ns)
                poses.poses([1], [1.0], keypoints[None], world[None], at_ns, frame_size=(640, 480))
                tone = 0.3 * np.sin(np.arange(3675) / 9).astype(np.float32)
                frames.audio(tone, 44100, at_ns)
                for health in (inference, camera):
                    said.send_multipart(encode(health))
                pause.wait(1 / 12)

    def _predict(self) -> None:
        while not self._stop.wait(0.25):
            now_ns = self._clock.now_ns()
            self._events.publish(self.event_at(now_ns, self._seq))
            self._seq += 1
            while not self._alerts.empty():
                self._events.publish(self._alerts.get())

    def event_at(self, now_ns: int, seq: int) -> Any:
        window = EventWindow(
            index=seq, start_ns=now_ns - 2 * NS_PER_S, end_ns=now_ns,
            start_s=now_ns / 1e9 - 2, end_s=now_ns / 1e9,
        )  # fmt: skip
        label = "happy" if self._trained else "sad"
        return event(
            seq, session=self._session, window=window, label=label, trained=self._trained,
            published_at_ns=now_ns,
        )  # fmt: skip


@pytest.fixture
def purpose() -> dict[str, str]:
    return {"use": "home", "text": "Who is at the door", "contact": "keeper@example.org"}


@pytest.fixture
def config(tmp_path: Path, purpose: dict[str, str]) -> Config:
    stream = {"name": "door", "camera": {"source": "0"}, "pose": {}}
    return parse(
        {
            "purpose": purpose,
            "runtime": {"directory": str(tmp_path / "run")},
            "events": {
                "endpoint": f"ipc://{tmp_path}/events",
                "health_endpoint": f"ipc://{tmp_path}/health",
            },
            "journal": {"path": str(tmp_path / "events.sqlite")},
            "streams": [{**stream, "analyzers": [{"method": "bpm-gcn", "bundle": "default"}]}],
        },
        "the test",
    )


@pytest.fixture
def system(config: Config) -> Iterator[FakeSystem]:
    Path(str(config.directory)).mkdir(mode=0o700, exist_ok=True)
    running = FakeSystem(config)
    yield running
    running.close()


@pytest.fixture
def serve(config: Config, tmp_path: Path) -> Callable[[], Any]:
    """Start the page's server on one port, again and again."""
    path = tmp_path / "page.toml"
    path.write_text(dumps(config), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    @contextmanager
    def serving() -> Iterator[str]:
        with started(tmp_path, "view", "-c", str(path), "--port", str(port)) as command:
            url = f"http://localhost:{port}"
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"{url}/about").close()  # noqa: S310 - of this test
                    break
                except urllib.error.URLError:
                    assert command.process.poll() is None, command.err
                    threading.Event().wait(0.1)
            yield url

    return serving


@pytest.fixture
def page() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.set_default_timeout(WAIT_MS)
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        yield page
        browser.close()
        assert not faults


@pytest.fixture
def shoot(page: Any, tmp_path: Path) -> Callable[[str], None]:
    """Keep a picture of the whole page (docs/contributing.md)."""
    folder = Path(os.environ.get("JACK_STREAM_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda name: page.screenshot(path=folder / f"{name}.png", full_page=True)


def _await_reading(page: Any, word: str) -> None:
    page.locator(".people li b", has_text=word).first.wait_for()


def _await_moving_picture(page: Any) -> None:
    for _ in range(3):  # the first one of all has no skeleton yet
        shown = page.evaluate("document.querySelector('.picture').toDataURL()")
        page.wait_for_function(
            "before => document.querySelector('.picture').toDataURL() !== before", arg=shown
        )
    page.locator(".nothing").wait_for(state="hidden")


def _await_more_colour(page: Any, than: int) -> None:
    page.wait_for_function(f"than => ({COLOURED})() > than", arg=than)


def _serious_faults(page: Any) -> list[tuple[str, list[str]]]:
    """What axe finds that keeps people out."""
    return [
        (rule["id"], [node["html"] for node in rule["nodes"]])
        for rule in axe.Axe().run(page).response["violations"]
        if rule["impact"] in ("serious", "critical")
    ]


def test_it_shows_what_is_and_what_was_and_a_keyboard_is_enough(
    page: Any, serve: Any, system: FakeSystem, config: Config, shoot: Callable[[str], None]
) -> None:
    now_ns = Clock().now_ns()
    with Journal(config.journal_path) as journal:
        journal.keep([system.event_at(now_ns - (600 - n) * NS_PER_S, n) for n in range(500)], {})
    page.emulate_media(color_scheme="light")
    with serve() as url:
        page.goto(url)
        page.get_by_text("live", exact=True).wait_for()
        _await_reading(page, "happy")
        _await_moving_picture(page)
        _await_more_colour(page, page.evaluate(COLOURED) + 20)
        page.locator(".level[aria-valuenow='-13']").wait_for()
        facts = r"25 fps · \d+ shown/s · 15 ms old · 2 incomplete · 3 dropped"
        page.locator(".facts", has_text=re.compile(facts)).wait_for()
        assert not page.locator("#untrained").is_visible()
        assert not page.locator("#unstated").is_visible()
        page.get_by_text("Purpose: home: Who is at the door · keeper@example.org").wait_for()
        assert _serious_faults(page) == []
        shoot("light")

        stream = page.get_by_role("region", name="Stream door")
        for _ in range(10):
            page.keyboard.press("Tab")
            if stream.evaluate("one => one === document.activeElement"):
                break
        page.keyboard.press("Enter")
        page.locator("main.enlarged").wait_for()
        page.keyboard.press("Enter")
        page.locator("main:not(.enlarged)").wait_for()
        page.keyboard.press(" ")
        page.locator(".pause[aria-pressed=true]").wait_for()
        with page.expect_response(lambda response: "/events?stream=door" in response.url) as answer:
            for _ in range(20):
                page.keyboard.press("ArrowLeft")
        assert answer.value.ok
        _await_more_colour(page, 200)  # what was read minutes ago
        page.locator(".span", has_text="until").wait_for()
        shoot("back")
        page.keyboard.press("End")
        page.locator(".pause[aria-pressed=false]").wait_for()
        page.get_by_role("link", name="What people are told").click()
        page.get_by_role("heading", name="What is kept").wait_for()
        page.get_by_text("Home use: Who is at the door").wait_for()
        assert _serious_faults(page) == []
        shoot("notice")


def test_an_alert_is_seen_and_heard_while_it_goes_on(
    page: Any, serve: Any, system: FakeSystem, shoot: Callable[[str], None]
) -> None:
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 844})
    with serve() as url:
        page.goto(url)
        _await_reading(page, "happy")
        system.alert("began", 4)
        on = page.locator("ul[aria-live=polite] .on", has_text="Alert: unhappy, person 1")
        on.wait_for()
        page.reload()  # whoever comes later is told, too
        on.wait_for()
        _await_moving_picture(page)
        page.locator(".stream.alerting").wait_for()
        assert page.title() == "(1) JACK Stream"
        assert _serious_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        shoot("phone")
        system.alert("ended", 0)
        page.locator(".alerts .over", has_text="(out of view)").wait_for()
        page.locator(".stream:not(.alerting)").wait_for()
        assert on.count() == 0
        assert page.title() == "JACK Stream"


@pytest.mark.parametrize("purpose", [{}])
def test_it_survives_restarts_of_server_and_inference(
    page: Any, serve: Any, system: FakeSystem, shoot: Callable[[str], None]
) -> None:
    page.emulate_media(color_scheme="dark")
    with serve() as url:
        page.goto(url)
        _await_reading(page, "happy")
    page.get_by_text("connection lost").wait_for()
    with serve():
        page.get_by_text("live", exact=True).wait_for()
        _await_moving_picture(page)
        system.restart_inference()
        _await_reading(page, "sad")
        page.locator("#untrained", has_text="UNTRAINED").wait_for()
        page.locator("#unstated", has_text="not stated").wait_for()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert _serious_faults(page) == []
        shoot("dark")

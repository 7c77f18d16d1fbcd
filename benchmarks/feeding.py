"""A real inference process that is fed with made-up walkers, for the benchmarks that need one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from jack_stream.capture.scene.walk import STYLES, landmarks, world_landmarks
from jack_stream.clock import NS_PER_S, Clock
from jack_stream.config import Config, dumps, parse
from jack_stream.events.schema import Event
from jack_stream.events.subscriber import Subscription
from jack_stream.service.session import private
from jack_stream.window.spec import phase_of
from jack_stream.wire.codec import decode
from jack_stream.wire.messages import Health
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher

__all__ = ["FPS", "Fed", "Source", "balance", "cpu_s", "fed", "machine", "poses_config", "walkers"]

FPS = 25
START_WITHIN_S = 300.0
_REST_WITHIN_S = 30.0
_PHASES = 64
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

Publish = Callable[[Publisher, int, int], None]
"""Publishes picture number n (its third argument) with the capture time that comes before it."""


def machine() -> str:
    """The processor, its cores and the load, as every table should say."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")
    allowed = len(os.sched_getaffinity(0))
    return f"{name}, {allowed} of {os.cpu_count()} cores allowed, load {os.getloadavg()[0]:.1f}"


def cpu_s(pid: int) -> float:
    """User and system time of a process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def stream_name(number: int) -> str:
    """What a benchmark's stream is called."""
    return f"s{number:02}"


def in_step_s(number: int, hop_s: float) -> float:
    """How far behind the clock a stream's capture times must lie to undo the phase of its grid."""
    hop_ns = round(hop_s * NS_PER_S)
    return (-phase_of(stream_name(number), hop_ns) % hop_ns) / NS_PER_S


def poses_config(streams: int, bundle: str, hops_s: Sequence[float]) -> Config:
    """Streams of poses that BPM-GCN looks at, each with its hop."""
    tables: list[dict[str, Any]] = [
        {
            "name": stream_name(number),
            "scene": {"seconds": 3600},
            "pose": {},
            "analyzers": [{"method": "bpm-gcn", "bundle": bundle, "hop_s": hop_s}],
        }
        for number, hop_s in zip(range(streams), hops_s, strict=True)
    ]
    return parse({"streams": tables}, "benchmark")


def _one_stride() -> NDArray[np.float32]:
    """World landmarks ``[styles, phases, 33, 4]`` of one stride in each manner."""
    phases = np.linspace(0, 2 * np.pi, _PHASES, endpoint=False)
    walks = [world_landmarks(landmarks(style, phases), np.pi / 2) for style in STYLES.values()]
    world = np.ones((len(walks), _PHASES, 33, 4), np.float32)
    world[..., :3] = np.stack(walks)
    return world


def walkers(people: Callable[[], Sequence[int]]) -> Publish:
    """Publishes the poses of whoever is there, all in different phases and four manners.

    Args:
        people: their numbers at the moment, 64 at the most.
    """
    stride = _one_stride()

    def publish(publisher: Publisher, at_ns: int, number: int) -> None:
        ids = np.asarray(people(), int)
        world = stride[ids % len(stride), (number * _PHASES // FPS + 13 * ids) % _PHASES]
        keypoints = world.copy()
        keypoints[..., :2] = 0.5 + 0.25 * world[..., :2]
        scores = [1.0] * len(ids)
        publisher.poses(ids.tolist(), scores, keypoints, world, at_ns, frame_size=(640, 480))

    return publish


class Source:
    """What one stream publishes, 25 times a second.

    Args:
        publish: called for each picture.
        behind_s: how far its capture times lie behind the clock: its windows end so much later.

    Attributes:
        captured_ns: the capture times so far, in order.
    """

    def __init__(self, publish: Publish, behind_s: float = 0.0) -> None:
        self.behind_ns = round(behind_s * NS_PER_S)
        self.captured_ns: list[int] = []
        self._publish = publish

    def step(self, publisher: Publisher, now_ns: int, number: int) -> None:
        at_ns = now_ns - self.behind_ns
        self.captured_ns.append(at_ns)
        self._publish(publisher, at_ns, number)

    def age_ms(self, event: Event) -> float:
        """From the capture of the newest sample of an event's window to its publication."""
        return event.latency.total_ms - self.behind_ns / 1e6

    def completed_ns(self, event: Event) -> int:
        """When the sample was captured by which a window was seen to be complete."""
        at = bisect_left(self.captured_ns, event.window.end_ns)
        return self.captured_ns[min(at, len(self.captured_ns) - 1)] + self.behind_ns


class Fed:
    """An inference process at work.

    Attributes:
        process: it.
        events: what it publishes.
        sources: stream -> what feeds it.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        events: Subscription,
        sources: Mapping[str, Source],
        inbox: zmq.Socket[bytes],
        stop_feeding: Callable[[], None],
    ) -> None:
        self.process = process
        self.events = events
        self.sources = sources
        self.stop_feeding = stop_feeding
        self._inbox = inbox

    def wait_for_event(self) -> None:
        """Wait for the first event.

        Raises:
            RuntimeError: the process ended, or said nothing for too long.
        """
        until_s = time.monotonic() + START_WITHIN_S
        while self.events.next(1.0) is None:
            if self.process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError("inference gave no event; see above why")

    def hear(self, seconds: float) -> Iterator[Event]:
        """The events of so many seconds."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            if (event := self.events.next(left_s)) is not None:
                yield event

    def health(self) -> Health:
        """The newest report, at least as new as this question."""
        asked_ns = Clock().now_ns()
        while self._inbox.poll(5000):
            said = decode(self._inbox.recv_multipart())
            if isinstance(said, Health) and said.stamp.captured_at_ns >= asked_ns:
                return said
        raise RuntimeError("inference has stopped reporting")

    def rest(self) -> Counter[str]:
        """Stop feeding, and count when all that came has been seen to."""
        self.stop_feeding()
        until_s, before = time.monotonic() + _REST_WITHIN_S, None
        while time.monotonic() < until_s:
            health = self.health()
            counts = Counter(health.counters)
            if counts == before and not health.gauges["windows_waiting"]:
                return counts
            before = counts
        raise RuntimeError(f"inference did not come to rest in {_REST_WITHIN_S:.0f} s")


@contextmanager
def fed(
    config: Config, sources: Sequence[Source], *, device: str = "pose", **publisher: Any
) -> Iterator[Fed]:
    """Inference in a process of its own, fed by a thread of this one, a source per stream."""
    stop = threading.Event()
    with ExitStack() as stack:
        config = stack.enter_context(private(config))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "bench.toml").write_text(dumps(config))
        publishers = [
            stack.enter_context(
                Publisher(
                    config.capture_endpoint(stream.name, device),
                    stream.name,
                    policy=Policy.LIVE,
                    clock=Clock(),
                    wait_for=1,
                    **publisher,
                )
            )
            for stream in config.streams
        ]
        inbox: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
        stack.enter_context(inbox)
        inbox.bind(config.health_inbox)
        player = threading.Thread(target=_play, args=(publishers, sources, stop))

        def stop_feeding() -> None:
            stop.set()
            player.join()

        events = stack.enter_context(Subscription(config.events.endpoint))
        player.start()
        stack.callback(stop_feeding)
        command = [sys.executable, "-m", "jack_stream", "infer", "-c", str(folder / "bench.toml")]
        process = subprocess.Popen(command)
        stack.callback(_end, process)
        named = {stream.name: one for stream, one in zip(config.streams, sources, strict=True)}
        yield Fed(process, events, named, inbox, stop_feeding)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    process.kill()


def _play(publishers: list[Publisher], sources: Sequence[Source], stop: threading.Event) -> None:
    clock = Clock()
    for publisher in publishers:
        publisher.wait_for_receivers(stop)
    begin_ns, period_ns = clock.now_ns(), NS_PER_S // FPS
    for number in count():
        for place, (publisher, source) in enumerate(zip(publishers, sources, strict=True)):
            # Cameras take their pictures at different moments of the same 40 ms.
            due_ns = begin_ns + number * period_ns + place * period_ns // len(sources)
            if stop.wait(max(0.0, (due_ns - clock.now_ns()) / NS_PER_S)):
                return
            source.step(publisher, clock.now_ns(), number)


def balance(counts: Mapping[str, int]) -> list[str]:
    """What became of all messages and of all windows, of inference at rest.

    Args:
        counts: the counters of its health.

    Returns:
        A line for each: what came = what was used + what was dropped, by reason.

    Raises:
        AssertionError: they are not equal.
    """
    dropped = {
        name.removeprefix("messages_dropped_"): number
        for name, number in counts.items()
        if name.startswith("messages_dropped_")
    }

    def of_lanes(name: str) -> int:
        return sum(n for key, n in counts.items() if key.startswith(f"{name}."))

    windows = {
        "answered": of_lanes("inference_s"),
        "shed": counts.get("windows_shed", 0),
        "skipped": of_lanes("windows_skipped"),
        "refused": counts.get("windows_refused", 0),
        "failed": of_lanes("windows_failed"),
    }
    return [
        _equation(
            "messages received",
            counts["messages_received"],
            {"used": counts["messages_used"], **dropped},
        ),
        _equation("windows cut", counts["windows"], windows),
    ]


def _equation(what: str, total: int, parts: Mapping[str, int]) -> str:
    said = " + ".join(f"{n} {name}" for name, n in parts.items() if n or name in {"used", "shed"})
    assert total == sum(parts.values()), f"{what}: {total} is not {said}"
    return f"{what}: {total} = {said}"

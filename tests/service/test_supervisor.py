"""A real system under the supervisor: its processes are killed, stopped and orphaned."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from jack_stream.config import dumps, load, parse
from jack_stream.events.schema import Event
from jack_stream.testing import EventCapture, capture_events
from jack_stream.wire.messages import Health
from jack_stream.wire.receiver import Receiver
from tests.capture.media_files import RATE, write_video
from tests.end_to_end.commands import START_S, socket_folder, started
from tests.service.trace_format import check, of_name

pytestmark = [pytest.mark.end_to_end, pytest.mark.jittor, pytest.mark.timeout(600)]

STOP_S = 5.0
_TRACED = (
    "send audio", "receive audio", "batch of vaanet-audio", "publish events", "keep events",
    "announce events",
)  # fmt: skip


@pytest.fixture
def sockets() -> Iterator[Path]:
    with socket_folder() as folder:
        yield folder


def _write(folder: Path, sockets: Path, source: Path) -> Path:
    """A configuration of one film that is played again and again, and someone who listens."""
    voice = {"method": "vaanet-audio", "bundle": "untrained", "window_s": 1.0, "hop_s": 0.5}
    table = {
        "runtime": {"directory": str(sockets), "threads": 1},
        "metrics": {"address": "off"},
        "events": {
            "endpoint": f"ipc://{sockets}/events",
            "health_endpoint": f"ipc://{sockets}/health-out",
        },
        "streams": [
            {"name": "door", "camera": {"source": str(source), "loop": True}, "analyzers": [voice]}
        ],
    }
    path = folder / "loop.toml"
    path.write_text(dumps(parse(table, path.name)), encoding="utf-8")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _noise(seconds: float) -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    return (rng.standard_normal(round(seconds * RATE)) * 0.1).astype(np.float32)


@pytest.fixture
def looped(tmp_path: Path, sockets: Path) -> Path:
    film = write_video(tmp_path / "film.mkv", frames=50, sound=_noise(2.0))
    return _write(tmp_path, sockets, film)


def _children(parent: int) -> dict[str, int]:
    """Role -> process number of the workers that a process has started."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            state = (folder / "stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state[1] == str(parent) and state[0] != "Z" and "worker" in words:
            found[words[words.index("worker") + 1]] = int(folder.name)
    return found


def _is_there(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(") ")[2][0] != "Z"


def _until(holds: Callable[[], bool], timeout_s: float) -> None:
    until_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until_s, f"it did not come to pass in {timeout_s} s"
        time.sleep(0.02)


def _wait_for_more(events: EventCapture, count: int, timeout_s: float) -> Sequence[Event]:
    wanted = len(events) + count
    return events.wait_until(lambda seen: len(seen) >= wanted, timeout_s)


def _published(reports: Receiver) -> int:
    """How many events inference says to have published when it had stopped."""
    while (report := reports.get(10)) is not None:
        if isinstance(report, Health) and (report.process, report.state) == (
            "inference",
            "stopped",
        ):
            return report.counters["events"]
    raise AssertionError("inference did not say that it has stopped")


def test_a_killed_camera_comes_back_and_sigterm_ends_all_in_time(
    looped: Path, tmp_path: Path
) -> None:
    port = _free_port()
    page = ("--view", "--set", f"view.address=127.0.0.1:{port}", "--trace", "out.json")
    with (
        capture_events(load(looped).events.endpoint) as events,
        Receiver([load(looped).events.health_endpoint], {"health"}) as reports,
        started(tmp_path, "run", "-c", str(looped), *page) as run,
    ):
        _wait_for_more(events, 2, START_S)
        assert run.out == f"The page is at http://localhost:{port}\n"
        before = _children(run.process.pid)
        assert set(before) == {"camera", "journal", "inference", "view"}

        os.kill(before["view"], signal.SIGSTOP)
        _wait_for_more(events, 3, 60)  # a page that hangs holds nobody up
        os.kill(before["view"], signal.SIGKILL)
        _until(lambda: _children(run.process.pid).get("view", 0) not in (0, before["view"]), 60)

        os.kill(before["camera"], signal.SIGKILL)
        _until(lambda: _children(run.process.pid).get("camera", 0) not in (0, before["camera"]), 60)
        _wait_for_more(events, 3, 60)
        after = _children(run.process.pid)
        assert after["inference"] == before["inference"], "the other processes are left alone"
        assert "died (exit code -9)" in run.err

        began_s = time.monotonic()
        run.process.send_signal(signal.SIGTERM)
        assert run.wait(60) == 0
        assert time.monotonic() - began_s < STOP_S
        assert not any(_is_there(pid) for pid in (*before.values(), *after.values()))
        assert "was killed" not in run.err
        # Nothing that was published is missing, up to the last one before the end.
        published = _published(reports)
        seen = events.wait_until(lambda all_of_them: len(all_of_them) >= published, 10)
    assert [event.seq for event in seen] == list(range(published))
    _check_trace(tmp_path / "out.json", before["camera"], seen)


def _check_trace(path: Path, killed: int, seen: Sequence[Event]) -> None:
    whole = json.loads(path.read_text(encoding="utf-8"))
    check(whole)
    events = whole["traceEvents"]
    processes = {event["args"]["name"] for event in of_name(whole, "process_name")}
    assert processes == {"supervisor", "camera.door", "inference", "journal", "view"}
    marks = [event["name"] for event in events if event["name"].startswith("no trace of ")]
    assert f"no trace of camera.door ({killed}): it was killed" in marks
    assert len(marks) == 2, "the camera and the page"
    for name in _TRACED:
        assert {"X"} == {event["ph"] for event in of_name(whole, name)}, name
    kept = sum(event["args"]["events"] for event in of_name(whole, "keep events"))
    assert kept == len(seen)
    lives = [e for e in events if e["ph"] == "b" and e["name"] == "door vaanet-audio"]
    assert len(lives) == len(seen)
    ends = {e["id2"]["local"]: e["ts"] for e in events if e["ph"] == "e" and e["name"] == "publish"}
    for life, event in zip(lives, seen, strict=True):
        took_ms = (ends[life["id2"]["local"]] - life["ts"]) / 1e3
        assert took_ms == pytest.approx(event.latency.total_ms)
    assert not path.with_name("out.json.parts").exists()


def test_workers_end_with_a_supervisor_that_is_killed(looped: Path, tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    with started(tmp_path, "run", "-c", str(looped), "--cpus", f"{core}-{core}") as run:
        _until(lambda: set(_children(run.process.pid)) == {"camera", "journal", "inference"}, 60)
        workers = _children(run.process.pid)
        with capture_events(load(looped).events.endpoint) as events:
            _wait_for_more(events, 1, START_S)
        assert all(os.sched_getaffinity(pid) == {core} for pid in workers.values())
        assert f"cores=capture {core}; inference {core}" in run.err.replace("'", "")
        run.process.kill()
        run.process.wait()
        _until(lambda: not any(_is_there(pid) for pid in workers.values()), 30)


def test_a_source_that_can_not_be_read_ends_the_run_with_its_code(
    sockets: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.mkv").write_text("this is no film\n", encoding="utf-8")
    config = _write(tmp_path, sockets, tmp_path / "text.mkv")
    with started(tmp_path, "run", "-c", str(config)) as run:
        _until(lambda: {"camera", "inference"} <= set(_children(run.process.pid)), 60)
        workers = _children(run.process.pid)
        assert run.wait() == 66
    assert not any(_is_there(pid) for pid in workers.values())
    assert f"jack-stream: {tmp_path}/text.mkv" in run.err
    assert "Traceback" not in run.err

"""What a process records of itself: bounded, in order, and nothing where it is off."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from jack_stream import trace
from jack_stream.clock import Clock
from jack_stream.trace import Part
from jack_stream.wire.messages import End, Stamp


def _only_part(folder: Path) -> Part:
    (path,) = folder.glob("*.json")
    return msgspec.json.decode(path.read_bytes(), type=Part)


def test_spans_are_written_with_their_times_and_threads(tmp_path: Path) -> None:
    clock = Clock()
    before_ns = clock.now_ns()
    with trace.recording(tmp_path, "camera.door", clock):
        with trace.span("model", "outer", rows=2), trace.span("model", "inner"):
            pass
        trace.instant("window", "window shed", stream="door")
        other = threading.Thread(target=lambda: trace.instant("x", "y"), name="receiver")
        other.start()
        other.join()
    part = _only_part(tmp_path)
    assert (part.process, part.offset_ns, part.dropped) == ("camera.door", clock.offset_ns, 0)
    inner, outer, shed, elsewhere = part.spans
    assert before_ns <= outer.start_ns <= inner.start_ns <= inner.end_ns <= outer.end_ns
    assert outer.end_ns <= shed.start_ns == shed.end_ns <= clock.now_ns()
    assert (outer.args, shed.args) == ({"rows": 2}, {"stream": "door"})
    assert part.threads[outer.thread] == threading.current_thread().name
    assert part.threads[elsewhere.thread] == "receiver"


def test_what_ends_by_an_error_is_recorded_and_written(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        trace.recording(tmp_path, "pose", Clock()),
        trace.span("model", "pose"),
    ):
        _ = 1 // 0
    assert [span.name for span in _only_part(tmp_path).spans] == ["pose"]


def test_the_newest_spans_are_kept_and_the_others_counted(tmp_path: Path) -> None:
    with trace.recording(tmp_path, "pose", Clock(), limit=3):
        for number in range(8):
            trace.instant("x", f"{number}")
    part = _only_part(tmp_path)
    assert [span.name for span in part.spans] == ["5", "6", "7"]
    assert part.dropped == 5


def test_a_process_that_dies_again_and_again_fills_no_disk(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"pose.{number}.json").write_text("{}")
    (tmp_path / "pose.door.1.json").write_text("{}")
    with trace.recording(tmp_path, "camera", Clock()):
        pass
    with trace.recording(tmp_path, "pose", Clock()):
        pass
    assert len(list(tmp_path.glob("camera.*"))) == 1
    assert len([one for one in tmp_path.glob("pose.*") if one.stem.count(".") == 1]) == 2
    assert (tmp_path / "pose.door.1.json").exists(), "another process's"


def test_nothing_is_recorded_where_it_is_off(tmp_path: Path) -> None:
    with trace.recording(None, "pose", Clock()):
        assert not trace.is_on()
        assert trace.now_ns() == 0
        with trace.span("model", "pose"):
            trace.instant("x", "y")
    began_ns = trace.now_ns()  # was not on when it began
    with trace.recording(tmp_path, "pose", Clock()):
        trace.message("send", End(Stamp("door", 1, 5, "a"), "over"), began_ns)
    assert _only_part(tmp_path).spans == []


def test_a_part_that_can_not_be_written_ends_nothing(tmp_path: Path) -> None:
    with trace.recording(tmp_path / "gone", "pose", Clock()):
        trace.instant("x", "y")

from __future__ import annotations

import os
import stat
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.capture import camera, replay
from jack_stream.capture.record import RecordLimits, RecordSummary, record
from jack_stream.capture.recording import RecordedMessage, RecordingReader, RecordingWriter
from jack_stream.clock import Clock
from jack_stream.config import CameraSettings, RecordingSettings
from jack_stream.errors import SourceError, UsageError
from jack_stream.features.spatial import centre_view
from jack_stream.testing import play_recording, write_recording
from jack_stream.wire.messages import Audio, End, Frame
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver
from tests.capture.media_files import beeps, number_of, write_video
from tests.capture.running import running

_PARTS = [b"frame.door", b"header", b"\x00\x01\x02" * 50]


def _write(path: Path, count: int = 5) -> Path:
    with RecordingWriter(path, started_at_ns=7, overwrite=True) as writer:
        for number in range(count):
            writer.write(1000 + number, [*_PARTS, str(number).encode()])
    return path


def _read(path: Path) -> tuple[list[RecordedMessage], bool | None]:
    with RecordingReader(path) as reader:
        return list(reader), reader.complete


@settings(max_examples=50, deadline=None)
@given(
    messages=st.lists(
        st.tuples(st.integers(0, 2**62), st.lists(st.binary(max_size=200), min_size=1, max_size=4)),
        max_size=8,
    )
)
def test_messages_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, messages: list[tuple[int, list[bytes]]]
) -> None:
    path = tmp_path_factory.mktemp("recording") / "a.jackrec"
    with RecordingWriter(path, started_at_ns=1) as writer:
        for arrived_at_ns, parts in messages:
            writer.write(arrived_at_ns, [memoryview(part) for part in parts])
    assert writer.bytes_written == path.stat().st_size
    found, complete = _read(path)
    assert [(m.arrived_at_ns, [bytes(part) for part in m.parts]) for m in found] == messages
    assert complete


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jackrec"
    path.touch(mode=0o644)
    _write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.jackrec")
    with pytest.raises(UsageError, match=r"a\.jackrec exists"):
        RecordingWriter(path, started_at_ns=0)
    assert len(_read(path)[0]) == 5


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="absent"):
        RecordingWriter(tmp_path / "absent" / "a.jackrec", started_at_ns=0)


def test_a_full_disk_is_an_error_that_says_so() -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("needs /dev/full")
    with (  # noqa: PT012 (where the buffer is flushed doesn't matter)
        pytest.raises(SourceError, match="No space left"),
        RecordingWriter(Path("/dev/full"), started_at_ns=0, overwrite=True) as writer,
    ):
        for _ in range(1000):
            writer.write(0, _PARTS)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 1100))
def test_a_recording_that_was_cut_gives_every_whole_message(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = _write(tmp_path_factory.mktemp("recording") / "a.jackrec")
    data = path.read_bytes()
    path.write_bytes(data[:cut])
    whole, _ = _read(_write(path.with_suffix(".whole")))
    header = len(data) - sum(_record_size(message) for message in whole) - 8
    if cut < header:
        with pytest.raises(SourceError, match="recording"):
            _read(path)
        return
    found, complete = _read(path)
    assert found == whole[: len(found)]
    assert complete == (cut >= len(data))
    assert len(found) == 5 if complete else len(found) <= 5


@settings(max_examples=100, deadline=None)
@given(position=st.integers(0, 1000), value=st.integers(1, 255))
def test_a_damaged_recording_never_gives_wrong_messages(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    path = _write(tmp_path_factory.mktemp("recording") / "a.jackrec")
    whole, _ = _read(path)
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= value
    path.write_bytes(data)
    try:
        found, _ = _read(path)
    except SourceError:
        return
    assert found == whole[: len(found)]


@pytest.mark.parametrize("data", [b"", b"RIFF" * 20, b"JACKREC\x00", b"JACKREC\x00" + bytes(20)])
def test_what_is_no_recording_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jackrec"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.jackrec"):
        RecordingReader(path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jackrec"
    body = msgspec.msgpack.encode({"v": 2, "started_at_ns": 0})
    path.write_bytes(b"JACKREC\0" + struct.pack("<II", len(body), zlib.crc32(body)) + body)
    with pytest.raises(SourceError, match="version 2"):
        RecordingReader(path)


def test_the_documented_reader_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[2] / "docs" / "recordings.md"
    code = page.read_text().split("```python\n")[1].split("```")[0]
    path = _write(tmp_path / "a.jackrec", 2)
    exec(code.replace("walk.jackrec", str(path)), {})  # noqa: S102 (our own page)
    assert capsys.readouterr().out == "1000 frame.door 4\n1001 frame.door 4\n"


def _record_size(message: RecordedMessage) -> int:
    return 8 + len(msgspec.msgpack.encode(message))


class _Recording:
    """Records in a thread, as the command does in a process."""

    def __init__(self, endpoint: str, path: Path, **wanted: Any) -> None:
        self.stop = threading.Event()
        self.summary: RecordSummary | None = None

        def target() -> None:
            self.summary = record([endpoint], path, clock=Clock(), stop=self.stop, **wanted)

        self._thread = threading.Thread(target=target, daemon=True)
        self._thread.start()

    def finish(self) -> RecordSummary:
        self._thread.join(20)
        assert self.summary is not None
        return self.summary


def _recorded_film(tmp_path: Path) -> tuple[Path, list[Any]]:
    """A recording of a film, and what a receiver got of it meanwhile."""
    film = write_video(tmp_path / "a.mkv", frames=50, sound=beeps(2))
    path = tmp_path / "a.jackrec"
    wanted = CameraSettings(source=str(film), width=64, sample_rate=16000)
    recording = _Recording(f"ipc://{tmp_path}/film.ipc", path, policy=Policy.LOSSLESS)

    def run_for_two(settings: Any, publisher: Publisher, **others: Any) -> None:
        publisher._wait_for = 2  # the recorder as well
        camera.run(settings, publisher, **others)

    with running(run_for_two, wanted, tmp_path, stream="film") as source:
        live = source.all()
        summary = recording.finish()
    assert summary.reason == "all sources have ended"
    assert summary.messages == len(live)
    assert summary.bytes_written == path.stat().st_size
    return path, live


@pytest.mark.parametrize("pace", ["fast", "realtime"])
def test_a_replay_is_what_was_recorded(tmp_path: Path, pace: str) -> None:
    path, live = _recorded_film(tmp_path)
    wanted = RecordingSettings.model_validate({"path": path, "pace": pace})
    with running(replay.run, wanted, tmp_path, stream="other") as source:
        began = time.monotonic()
        again = source.all()
        took_s = time.monotonic() - began
    assert (took_s > 1.5) == (pace == "realtime")
    key = lambda m: (type(m).__name__, m.stamp.seq)  # noqa: E731
    for before, after in zip(sorted(live, key=key), sorted(again, key=key), strict=True):
        assert before.stamp == after.stamp
        if isinstance(before, Frame):
            assert np.array_equal(before.image, after.image)
            assert number_of(after.image) == after.stamp.seq
        elif isinstance(before, Audio):
            assert np.array_equal(before.samples, after.samples)
    assert isinstance(again[-1], End)
    assert again[-1].stamp.stream == "film"


def test_a_replay_makes_the_views_of_the_pictures_that_were_recorded(tmp_path: Path) -> None:
    path, live = _recorded_film(tmp_path)
    endpoint = f"ipc://{tmp_path}/views"
    with (
        play_recording(path, endpoint, pace="fast"),
        Receiver([endpoint], {"view.112", "end"}, policy=Policy.LOSSLESS) as receiver,
    ):
        views = list(iter(lambda: _frame_or_none(receiver), None))
    pictures = [message for message in live if isinstance(message, Frame)]
    assert [view.stamp for view in views] == [picture.stamp for picture in pictures]
    for view, picture in zip(views, pictures, strict=True):
        assert (view.image == centre_view(picture.image)).all()


def _frame_or_none(receiver: Receiver) -> Frame | None:
    message = receiver.get(10)
    return message if isinstance(message, Frame) else None


def test_recording_ends_at_its_limits(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.mkv", frames=50)
    wanted = CameraSettings(source=str(film), width=64, loop=True, pace="fast")
    with running(camera.run, wanted, tmp_path, policy=Policy.LIVE) as source:
        small = _Recording(
            source.endpoint, tmp_path / "small.jackrec", limits=RecordLimits(max_bytes=50_000)
        ).finish()
        short = _Recording(
            source.endpoint, tmp_path / "short.jackrec", limits=RecordLimits(max_s=0.3)
        ).finish()
        stopped = _Recording(source.endpoint, tmp_path / "stopped.jackrec")
        source.get(Frame)
        stopped.stop.set()
        summary = stopped.finish()
    assert 50_000 <= small.bytes_written < 60_000
    assert small.reason == "50000 bytes are written"
    assert short.reason == "0.3 s are over"
    assert summary.reason == "stopped"
    assert _read(tmp_path / "stopped.jackrec")[1]


def test_a_damaged_recording_is_played_to_its_last_whole_message(tmp_path: Path) -> None:
    path, live = _recorded_film(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    wanted = RecordingSettings(path=path, pace="fast")
    with running(replay.run, wanted, tmp_path, stream="cut") as source:
        source.until_state("stopped")
        last = source.health.last
        assert last is not None
        assert last.counters["incomplete"] == 1
        assert 10 < last.counters["messages"] < len(live)
        assert "cut short" in last.detail


def test_a_replay_ends_whoever_was_still_publishing(tmp_path: Path) -> None:
    path, live = _recorded_film(tmp_path)
    path.unlink()
    write_recording(path, [message for message in live if not isinstance(message, End)])
    with running(replay.run, RecordingSettings(path=path, pace="fast"), tmp_path) as source:
        again = source.all()
    end = again[-1]
    assert isinstance(end, End)
    assert (end.stamp.stream, end.stamp.session) == ("film", live[0].stamp.session)
    assert end.stamp.captured_at_ns == again[-2].stamp.captured_at_ns


def test_the_replay_of_nothing_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.jackrec"
    write_recording(path, [])
    with running(replay.run, RecordingSettings(path=path), tmp_path, stream="door") as source:
        (end,) = source.all()
    assert isinstance(end, End)
    assert end.stamp.stream == "door"


def test_a_replay_stops_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jackrec"
    with RecordingWriter(path, started_at_ns=0) as writer:
        for second in (0, 3600):
            writer.write(second * 10**9, _PARTS)
    with running(replay.run, RecordingSettings(path=path), tmp_path) as source:
        source.until_state("running")
        assert source.finish(1.0) < 1.0

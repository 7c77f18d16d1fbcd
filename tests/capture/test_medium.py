"""Real files through FFmpeg, and what is wrong with bad ones."""

from __future__ import annotations

import http.server
import struct
import threading
import wave
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from jack_stream.capture.media import MediaWanted, in_order
from jack_stream.capture.medium import Medium
from jack_stream.capture.resize import Resizer
from jack_stream.capture.samples import Picture, Sample, Sound
from jack_stream.capture.soundtrack import SoundTrack, SoundWanted
from jack_stream.clock import NS_PER_S
from jack_stream.errors import SourceError, SourceLostError
from tests.capture.media_files import RATE, beeps, number_of, numbered_picture, write_video
from tests.capture.test_parts import ManualClock

_BOTH = MediaWanted(Resizer(64), None, SoundWanted(16000, 20))


def _read(medium: Medium, counters: Counter[str] | None = None) -> list[Sample]:
    return list(medium.samples(ManualClock(), Counter() if counters is None else counters))


def _pictures(samples: list[Sample]) -> list[Picture]:
    return [sample for sample in samples if isinstance(sample, Picture)]


def _sounds(samples: list[Sample]) -> list[Sound]:
    return [sample for sample in samples if isinstance(sample, Sound)]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi"])
def test_every_picture_comes_with_its_time(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name)
    pictures = _pictures(_read(Medium(str(path), _BOTH)))
    assert [number_of(picture.image) for picture in pictures] == list(range(50))
    media_ns = [picture.captured_at_ns - picture.origin_ns for picture in pictures]
    assert media_ns == [number * 40_000_000 for number in range(50)]
    assert {picture.image.shape for picture in pictures} == {(32, 64, 3)}
    assert {picture.source_size for picture in pictures} == {(128, 64)}
    assert not any(picture.discontinuity for picture in pictures)


def test_flash_and_beep_coincide_on_one_clock(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=100, sound=beeps(4))
    samples = _read(Medium(str(path), _BOTH))
    assert len({sample.origin_ns for sample in samples}) == 1
    flashes = [
        p.captured_at_ns - p.origin_ns for p in _pictures(samples) if p.image[-1].mean() > 128
    ]
    assert flashes == [0, NS_PER_S, 2 * NS_PER_S, 3 * NS_PER_S]
    sounds = _sounds(samples)
    heard = np.concatenate([sound.samples for sound in sounds])
    assert abs(len(heard) - 4 * 16000) <= 1
    assert abs(sounds[0].captured_at_ns - sounds[0].origin_ns) < 100_000
    for second in range(4):
        around = heard[max(0, second * 16000 - 800) : second * 16000 + 800]
        onset = int(np.flatnonzero(np.abs(around) > 0.1)[0]) - min(800, second * 16000)
        assert abs(onset) <= 16  # a millisecond
    steps = np.diff([sound.captured_at_ns for sound in sounds])
    assert np.abs(steps - 20_000_000).max() <= 2


def test_picture_and_sound_come_in_the_order_of_devices(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=100, sound=beeps(4))
    ends = [sample.end_ns for sample in _read(Medium(str(path), _BOTH))]
    assert ends == sorted(ends)


def test_what_is_far_apart_is_not_kept_in_memory() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    taken = 0

    def source() -> Iterator[Sample]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield Picture(image, (2, 2), number * 40_000_000)
        yield Sound(np.zeros(320, np.float32), 16000, 0)

    first = list(islice(in_order(source()), 10))
    assert [sample.captured_at_ns for sample in first] == [n * 40_000_000 for n in range(10)]
    assert taken < 40


def test_a_file_that_starts_late_starts_at_zero(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=10, start=4000)
    pictures = _pictures(_read(Medium(str(path), _BOTH)))
    assert pictures[0].captured_at_ns == pictures[0].origin_ns


def test_loops_continue_the_time_line(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=25, sound=beeps(1))
    medium = Medium(str(path), _BOTH, loop=True)
    samples = list(islice(medium.samples(ManualClock(), Counter()), 300))
    pictures, sounds = _pictures(samples), _sounds(samples)
    assert [number_of(p.image) for p in pictures[:60]] == [n % 25 for n in range(60)]
    times = [p.captured_at_ns - p.origin_ns for p in pictures]
    assert np.abs(np.diff(times) - 40_000_000).max() < 2
    assert all(p.discontinuity == (n in {25, 50, 75, 100}) for n, p in enumerate(pictures))
    assert np.abs(np.diff([s.captured_at_ns for s in sounds]) - 20_000_000).max() < 1000
    assert len({sample.origin_ns for sample in samples}) == 1


def test_fewer_pictures_can_be_wanted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv")
    counters: Counter[str] = Counter()
    pictures = _pictures(_read(Medium(str(path), MediaWanted(Resizer(64), 12.5, None)), counters))
    assert [number_of(picture.image) for picture in pictures] == list(range(0, 50, 2))
    assert counters["skipped_fps"] == 25


def test_damaged_packets_are_counted_and_skipped(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mp4", frames=100, codec="libx264")
    data = bytearray(whole.read_bytes())
    start = data.index(b"mdat") + 4
    middle = start + (len(data) - start) // 3
    data[middle : middle + 400] = b"\xff" * 400
    damaged = tmp_path / "b.mp4"
    damaged.write_bytes(data)
    counters: Counter[str] = Counter()
    numbers = [number_of(p.image) for p in _pictures(_read(Medium(str(damaged), _BOTH), counters))]
    assert counters["corrupt_packets"] + counters["corrupt_frames"] > 0
    assert numbers[:5] == [0, 1, 2, 3, 4]
    assert 20 < len(numbers) < 100


def test_a_file_that_was_cut_off_ends_early(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mkv", frames=100)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    numbers = [number_of(picture.image) for picture in _pictures(_read(Medium(str(cut), _BOTH)))]
    assert 20 < len(numbers) < 80
    assert numbers == list(range(len(numbers)))


def test_joined_files_play_on(tmp_path: Path) -> None:
    for name in ("a.ts", "b.ts"):
        write_video(tmp_path / name, codec="libx264", sound=beeps(2))
    joined = tmp_path / "joined.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    counters: Counter[str] = Counter()
    samples = _read(Medium(str(joined), _BOTH), counters)
    times = [picture.captured_at_ns for picture in _pictures(samples)]
    assert len(times) > 90
    assert np.diff(times).min() > 0
    assert (times[-1] - times[0]) / 1e9 == pytest.approx(4, abs=0.5)
    assert counters["timestamp_jumps"] >= 1
    assert [p for p in _pictures(samples)[40:60] if p.discontinuity]


@pytest.mark.parametrize(
    ("matrix", "quarters"),  # as QuickTime defines it; anticlockwise turns that undo it
    [((0, 1, -1, 0), 1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 3)],
)
def test_a_turned_telephone_is_turned_back(
    tmp_path: Path, matrix: tuple[int, int, int, int], quarters: int
) -> None:
    path = write_video(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    pictures = _pictures(_read(Medium(str(path), MediaWanted(Resizer(64), None, None))))
    assert {p.source_size for p in pictures} == {(128, 64) if quarters == 2 else (64, 128)}
    upright = [np.ascontiguousarray(np.rot90(p.image, quarters)) for p in pictures]
    assert [number_of(image) for image in upright] == list(range(50))


def test_sound_files_serve_as_microphones(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    stereo = np.stack([np.full(RATE, 8000), np.full(RATE, 16000)], axis=1).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(stereo.tobytes())
    wanted = MediaWanted(None, None, SoundWanted(48000, 20))
    sounds = _sounds(_read(Medium(str(path), wanted)))
    heard = np.concatenate([sound.samples for sound in sounds])
    assert len(heard) == RATE
    assert np.abs(heard - 12000 / 32768).max() < 0.01


def test_a_hole_in_the_sound_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        for second in (0, 1, 3):
            for first in range(0, RATE, 4800):
                block = np.full((1, 4800), 1000, np.int16)
                frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
                frame.sample_rate, frame.pts = RATE, second * RATE + first
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    counters: Counter[str] = Counter()
    wanted = MediaWanted(None, None, SoundWanted(16000, 20))
    sounds = _sounds(_read(Medium(str(path), wanted), counters))
    marked = [s for s in sounds if s.discontinuity]
    assert counters["sound_gaps"] == 1
    assert len(marked) == 1
    assert (marked[0].captured_at_ns - marked[0].origin_ns) / 1e9 == pytest.approx(3, abs=0.01)
    assert sum(len(s.samples) for s in sounds) == pytest.approx(3 * 16000, abs=2)


@pytest.mark.parametrize("drift_ppm", [-200, 200])
def test_sound_that_drifts_against_its_time_stamps_is_followed_without_a_gap(
    drift_ppm: int,
) -> None:
    counters: Counter[str] = Counter()
    track = SoundTrack(SoundWanted(8000, 20), 0, counters)
    sounds: list[Sound] = []
    for number in range(3000):  # five minutes: 60 ms
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate, frame.time_base = 8000, Fraction(1, 1000)
        frame.pts = round(number * 100 * (1 + drift_ppm * 1e-6))
        sounds += track.push(frame)[0]
    times_ns = np.array([sound.captured_at_ns for sound in sounds])
    stamped_ns = np.arange(len(sounds)) * 20e6 * (1 + drift_ppm * 1e-6)
    assert counters["sound_gaps"] == 0
    assert not any(sound.discontinuity for sound in sounds)
    assert np.abs(times_ns - stamped_ns).max() < 4e6
    assert np.abs(np.diff(times_ns) - 20e6).max() < 1.1e6


def _absent(folder: Path) -> str:
    return str(folder / "absent.mp4")


def _noise(folder: Path) -> str:
    path = folder / "noise.mp4"
    path.write_bytes(np.random.default_rng(1).bytes(20_000))
    return str(path)


def _empty(folder: Path) -> str:
    (folder / "empty.mkv").touch()
    return str(folder / "empty.mkv")


def _sound_only(folder: Path) -> str:
    path = folder / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    return str(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_absent, "there is no file"),
        (_noise, "can't be opened"),
        (_empty, "can't be opened"),
        (_sound_only, "no pictures"),
        (str, "is no file"),
    ],
)
def test_bad_files_are_named_with_what_to_do(tmp_path: Path, make: object, says: str) -> None:
    assert callable(make)
    source = make(tmp_path)
    with pytest.raises(SourceError, match=says) as caught:
        _read(Medium(source, _BOTH))
    assert source in str(caught.value)
    assert "\n  " in str(caught.value)
    assert not isinstance(caught.value, SourceLostError)


def test_a_silent_film_is_no_microphone(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=5)
    with pytest.raises(SourceError, match="no sound"):
        _read(Medium(str(path), MediaWanted(None, None, SoundWanted(16000, 20))))


def test_addresses_that_do_not_answer_may_be_tried_again_and_keep_their_secret() -> None:
    medium = Medium("rtsp://admin:hunter2@127.0.0.1:1/x", _BOTH, open_timeout_s=2)
    with pytest.raises(SourceLostError) as caught:
        _read(medium)
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)


def test_an_unknown_protocol_is_hopeless() -> None:
    with pytest.raises(SourceError) as caught:
        _read(Medium("rtspx://camera/live", _BOTH))
    assert not isinstance(caught.value, SourceLostError)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files, a motion-JPEG camera at /camera, and an address that is forbidden."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/forbidden":
            self.send_error(403)
        elif self.path == "/camera":
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for number in range(20):
                _, jpeg = cv2.imencode(".jpg", numbered_picture(number)[:, :, ::-1])
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg.tobytes() + b"\r\n")
        else:
            super().do_GET()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Handler, directory=str(tmp_path))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_video_on_a_web_server_is_recorded_media(tmp_path: Path, web: str) -> None:
    write_video(tmp_path / "a.mp4")
    pictures = _pictures(_read(Medium(f"{web}/a.mp4", _BOTH)))
    assert [number_of(picture.image) for picture in pictures] == list(range(50))
    assert pictures[0].origin_ns > 0


def test_a_motion_jpeg_camera_is_live_and_its_end_a_loss(web: str) -> None:
    pictures = []
    clock = ManualClock()
    with pytest.raises(SourceLostError, match="/camera"):  # noqa: PT012 (reads to the end)
        for sample in Medium(f"{web}/camera", _BOTH).samples(clock, Counter()):
            assert isinstance(sample, Picture)
            assert sample.captured_at_ns == clock.at_ns
            pictures.append(sample)
            clock.at_ns += NS_PER_S
    assert [number_of(picture.image) for picture in pictures] == list(range(20))
    assert {picture.origin_ns for picture in pictures} == {0}


def test_a_camera_that_refuses_is_hopeless(web: str) -> None:
    with pytest.raises(SourceError, match="refuses") as caught:
        _read(Medium(f"{web}/forbidden", _BOTH))
    assert not isinstance(caught.value, SourceLostError)


@pytest.mark.parametrize(
    ("name", "frames", "seconds_of_sound"),
    [
        ("asl_sorry.mkv", 0, 0.0),
        ("opendbm_subj01_timepoint01.mp4", 158, 5.27),
        ("pyfeat_face_noface.mov", 169, 3.99),
        ("pyfeat_single_face.mp4", 72, 2.42),
    ],
)
def test_footage(shared: Path, name: str, frames: int, seconds_of_sound: float) -> None:
    counters: Counter[str] = Counter()
    path = shared / "data" / "footage" / name
    samples = _read(Medium(str(path), _BOTH), counters)
    pictures, sounds = _pictures(samples), _sounds(samples)
    assert len(pictures) == frames or (frames == 0 and len(pictures) > 30)
    assert np.diff([picture.captured_at_ns for picture in pictures]).min() > 0
    heard = sum(len(sound.samples) for sound in sounds) / 16000
    assert heard == pytest.approx(seconds_of_sound, abs=0.1)
    assert not counters["corrupt_packets"] + counters["timestamp_jumps"] + counters["sound_gaps"]

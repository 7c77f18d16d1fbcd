import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.clock import NS_PER_S
from jack_stream.testing import (
    FakeClock,
    PatternSource,
    find_beeps,
    find_flashes,
    read_frame_number,
)
from jack_stream.wire.messages import Audio, End, Frame
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver


@given(number=st.integers(0, 2**20 - 1), width=st.integers(96, 400))
def test_a_frame_says_its_number(number: int, width: int) -> None:
    assert read_frame_number(PatternSource(width, 60).frame(number)) == number


@given(number=st.integers(0, 2**20 - 1))
def test_resizing_and_jpeg_leave_the_number_readable(number: int) -> None:
    small = cv2.resize(PatternSource(640, 480).frame(number), (200, 150))
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 50])
    assert read_frame_number(cv2.imdecode(data, cv2.IMREAD_COLOR)) == number


@pytest.mark.parametrize("level", [0, 100, 255])
def test_an_even_picture_has_no_number(level: int) -> None:
    assert read_frame_number(np.full((60, 96, 3), level, np.uint8)) is None


def test_numbers_and_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="1048576"):
        PatternSource().frame(2**20)
    with pytest.raises(ValueError, match="too small"):
        PatternSource(90, 90)


@pytest.mark.parametrize("fps", [10, 25, 30])
def test_flash_and_beep_begin_together(fps: int) -> None:
    source = PatternSource(96, 40, fps=fps)
    times, images = zip(*source.frames(4.5), strict=True)
    truth = source.flashes(4.5)
    assert truth == [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_allclose(find_flashes(times, images), truth, atol=1e-9)
    np.testing.assert_allclose(find_beeps(source.samples(0, 4.5), 44100), truth, atol=1e-3)


def test_spans_of_sound_join() -> None:
    source = PatternSource(sample_rate=22050, period_s=0.3)
    joined = np.concatenate([source.samples(i / 7, (i + 1) / 7) for i in range(14)])
    np.testing.assert_array_equal(joined, source.samples(0, 2))


def test_a_written_file_holds_what_the_source_says(tmp_path: Path) -> None:
    path = tmp_path / "pattern.mkv"
    source = PatternSource(fps=25, sample_rate=16000)
    source.write(path, 2.5)
    with av.open(str(path)) as container:
        pictures = [
            (float(f.pts * f.time_base), f.to_ndarray(format="rgb24"))
            for f in container.decode(video=0)
        ]
    with av.open(str(path)) as container:
        sound = np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)])
    assert [read_frame_number(image) for _, image in pictures] == list(range(62))
    times, images = zip(*pictures, strict=True)
    np.testing.assert_allclose(find_flashes(times, images), [1.0, 2.0], atol=1e-3)
    beeps = find_beeps((sound / 32768).astype(np.float32), 16000)
    np.testing.assert_allclose(beeps, [1.0, 2.0], atol=2e-3)


def test_published_messages_carry_the_time_of_their_content() -> None:
    source = PatternSource(96, 40, fps=10)
    with (
        Publisher(
            "tcp://127.0.0.1:*", "a", policy=Policy.LOSSLESS, clock=FakeClock(), wait_for=1
        ) as publisher,
        Receiver([publisher.endpoint], ["frame", "audio", "end"], policy=Policy.LOSSLESS) as inbox,
    ):
        assert publisher.wait_for_receivers(threading.Event())
        source.publish(publisher, 1.0, origin_ns=5 * NS_PER_S)
        messages = []
        while not messages or not isinstance(messages[-1], End):
            message = inbox.get(10)
            assert message is not None
            messages.append(message)
    frames = [m for m in messages if isinstance(m, Frame)]
    sound = [m for m in messages if isinstance(m, Audio)]
    assert [read_frame_number(f.image) for f in frames] == list(range(10))
    assert [f.stamp.captured_at_ns for f in frames] == [
        (50 + n) * NS_PER_S // 10 for n in range(10)
    ]
    assert [s.stamp.captured_at_ns for s in sound] == [f.stamp.captured_at_ns for f in frames]
    assert messages[-1].stamp.captured_at_ns == 6 * NS_PER_S

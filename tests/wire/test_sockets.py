"""Publisher and receiver over real sockets: what is promised about loss and freshness."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zmq

from jack_stream.clock import Clock
from jack_stream.errors import ConfigError
from jack_stream.features.views import VIEWS
from jack_stream.wire.messages import Audio, End, Frame, Kind, Poses
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher, Views
from jack_stream.wire.receiver import Receiver


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/wire"


def _image(number: int) -> np.ndarray:
    return np.full((4, 6, 3), number % 256, np.uint8)


def _publisher(endpoint: str, policy: Policy, receivers: int = 1) -> Publisher:
    return Publisher(endpoint, "door", policy=policy, clock=Clock(), wait_for=receivers)


def test_every_kind_arrives_as_it_was_sent(endpoint: str) -> None:
    keypoints = np.random.default_rng(1).random((2, 33, 4), np.float32)
    kinds = {"frame", "audio", "pose", "end"}
    with (
        _publisher(endpoint, Policy.LOSSLESS) as publisher,
        Receiver([publisher.endpoint], kinds, policy=Policy.LOSSLESS) as receiver,
    ):
        assert publisher.wait_for_receivers(threading.Event())
        publisher.frame(_image(7), 5, source_size=(60, 40), discontinuity=True, origin_ns=3)
        publisher.audio(np.arange(4, dtype=np.float32), 16000, 6)
        publisher.poses([4, 9], [0.5, 1.0], keypoints, -keypoints, 7, frame_size=(60, 40))
        publisher.end("file is over", 8)
        messages = [receiver.get(5) for _ in range(4)]
    frame, audio, poses, end = messages
    assert isinstance(frame, Frame)
    assert (frame.image == 7).all()
    assert frame.image.shape == (4, 6, 3)
    assert (frame.source_size, frame.discontinuity) == ((60, 40), True)
    assert (frame.stamp.captured_at_ns, frame.stamp.origin_ns, frame.stamp.seq) == (5, 3, 0)
    assert isinstance(audio, Audio)
    assert audio.samples.tolist() == [0, 1, 2, 3]
    assert audio.sample_rate == 16000
    assert isinstance(poses, Poses)
    assert (poses.ids, poses.scores) == ((4, 9), (0.5, 1.0))
    assert (poses.keypoints == keypoints).all()
    assert (poses.world == -keypoints).all()
    assert isinstance(end, End)
    assert end.reason == "file is over"


def _top_left(view: int) -> Callable[[np.ndarray], np.ndarray]:
    def make(image: np.ndarray) -> np.ndarray:
        return image[:view, :view]

    return make


def test_views_come_to_those_who_ask_with_the_picture_s_own_stamp(endpoint: str) -> None:
    image = np.random.default_rng(2).integers(0, 256, (300, 400, 3), np.uint8)
    made: list[int] = []

    def unwanted(image: np.ndarray) -> np.ndarray:
        made.append(len(image))
        return image

    views: Views = {"112": _top_left(112), "224": unwanted}
    with Publisher(
        endpoint, "door", policy=Policy.LOSSLESS, clock=Clock(), wait_for=2, views=views
    ) as publisher:
        kinds: set[Kind] = {"view.112", "end"}
        with Receiver([endpoint], kinds) as small, Receiver([endpoint], {"frame", "end"}) as whole:
            assert publisher.wait_for_receivers(threading.Event())
            for number in range(3):
                publisher.frame(image, number, discontinuity=number == 1)
            publisher.end("over", 9)
            seen, full = [small.get(5) for _ in range(4)], [whole.get(5) for _ in range(4)]
            assert (small.lost.total(), whole.lost.total()) == (0, 0)
    for number, (view, frame) in enumerate(zip(seen[:3], full[:3], strict=True)):
        assert isinstance(view, Frame)
        assert isinstance(frame, Frame)
        assert (view.view, frame.view) == ("112", "")
        assert view.stamp == frame.stamp
        assert view.stamp.seq == number
        assert view.source_size == frame.source_size == (400, 300)
        assert view.discontinuity == frame.discontinuity == (number == 1)
        assert (view.image == image[:112, :112]).all()
        assert (frame.image == image).all()
    assert isinstance(seen[3], End)
    assert not made, "a view that nobody asks for is not made"


def test_no_view_is_made_any_more_when_who_asked_has_gone(endpoint: str) -> None:
    made = threading.Event()

    def make(image: np.ndarray) -> np.ndarray:
        made.set()
        return image[:112, :112]

    image = np.zeros((120, 120, 3), np.uint8)
    with Publisher(
        endpoint, "door", policy=Policy.LIVE, clock=Clock(), wait_for=1, views={"112": make}
    ) as publisher:
        with Receiver([endpoint], {"view.112"}) as receiver:
            publisher.wait_for_receivers(threading.Event())
            publisher.frame(image, 1)
            assert receiver.get(5) is not None
        deadline_s = time.monotonic() + 10
        while made.is_set() and time.monotonic() < deadline_s:
            made.clear()
            publisher.frame(image, 2)
        assert not made.is_set()


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 65)])
def test_pictures_without_extent_or_as_long_as_a_wall_have_no_views(
    endpoint: str, shape: tuple[int, int]
) -> None:
    with (
        Publisher(
            endpoint, "door", policy=Policy.LIVE, clock=Clock(), wait_for=1, views=VIEWS
        ) as publisher,
        Receiver([endpoint], {"view.112", "end"}) as receiver,
    ):
        publisher.wait_for_receivers(threading.Event())
        assert publisher.frame(np.zeros((*shape, 3), np.uint8), 1)
        publisher.end("over", 2)
        assert isinstance(receiver.get(5), End)


def test_lossless_loses_nothing_however_slow_the_receiver(endpoint: str) -> None:
    count = 1000
    stop = threading.Event()
    with (
        _publisher(endpoint, Policy.LOSSLESS) as publisher,
        Receiver(
            [publisher.endpoint], {"frame"}, policy=Policy.LOSSLESS, capacity={"frame": 2}
        ) as receiver,
    ):

        def send() -> None:
            publisher.wait_for_receivers(stop)
            for number in range(count):
                publisher.frame(_image(number), number)

        sender = threading.Thread(target=send)
        sender.start()
        messages = [receiver.get(10) for _ in range(count)]
        sender.join()
    assert [m.stamp.seq for m in messages if m is not None] == list(range(count))
    assert receiver.counters() == {"received": count, "used": count, "lost": 0}


def test_live_keeps_the_newest_and_counts_the_rest(endpoint: str) -> None:
    count = 50
    with (
        _publisher(endpoint, Policy.LIVE) as publisher,
        Receiver([publisher.endpoint], {"frame", "end"}, capacity={"frame": 3}) as receiver,
    ):
        publisher.wait_for_receivers(threading.Event())
        for number in range(count):
            publisher.frame(_image(number), number)
        publisher.end("over")
        while receiver.received < count + 1:
            threading.Event().wait(0.005)
        seqs = []
        while isinstance(message := receiver.get(1), Frame):
            seqs.append(message.stamp.seq)
    assert seqs == [47, 48, 49]
    assert receiver.dropped == {"superseded": count - 3}
    assert receiver.received == receiver.used + sum(receiver.dropped.values())


def test_two_streams_do_not_push_each_other_out(tmp_path: Path) -> None:
    clock = Clock()
    ends = [f"ipc://{tmp_path}/{name}" for name in "ab"]
    with (
        Publisher(ends[0], "a", policy=Policy.LIVE, clock=clock, wait_for=1) as a,
        Publisher(ends[1], "b", policy=Policy.LIVE, clock=clock, wait_for=1) as b,
        Receiver(ends, {"frame"}, capacity={"frame": 2}) as receiver,
    ):
        for publisher in (a, b):
            publisher.wait_for_receivers(threading.Event())
        b.frame(_image(0), 0)
        for number in range(20):
            a.frame(_image(number), number)
        while receiver.received < 21:
            threading.Event().wait(0.005)
        streams = [m.stamp.stream for m in (receiver.get(1) for _ in range(3)) if m is not None]
    assert sorted(streams) == ["a", "a", "b"]


def test_gaps_in_the_sequence_are_counted_but_a_new_session_is_no_gap(endpoint: str) -> None:
    with Receiver([endpoint], {"frame"}) as receiver:
        for _ in range(2):
            with _publisher(endpoint, Policy.LIVE) as publisher:
                publisher.wait_for_receivers(threading.Event())
                publisher.frame(_image(0), 0)
                publisher._next_seq["frame"] = 4
                publisher.frame(_image(1), 1)
                assert receiver.get(5) is not None
                assert receiver.get(5) is not None
    assert receiver.lost == {"door": 6}


def test_malformed_messages_are_counted_and_the_next_one_arrives(endpoint: str) -> None:
    with (
        _publisher(endpoint, Policy.LIVE) as publisher,
        Receiver([publisher.endpoint], {"frame"}) as receiver,
    ):
        publisher.wait_for_receivers(threading.Event())
        publisher.send_parts([b"frame.door"])
        publisher.send_parts([b"frame.door", b"\xc1 not msgpack"])
        publisher.frame(_image(3), 3)
        message = receiver.get(5)
        assert isinstance(message, Frame)
    assert receiver.dropped == {"malformed": 2}
    assert receiver.received == 3


def test_closing_frees_a_sender_that_waits_for_a_full_receiver(endpoint: str) -> None:
    with Receiver([endpoint], {"frame"}, policy=Policy.LOSSLESS, capacity={"frame": 1}):
        publisher = _publisher(endpoint, Policy.LOSSLESS)
        publisher.wait_for_receivers(threading.Event())
        results: list[bool] = []

        def send() -> None:
            while publisher.frame(np.zeros((480, 640, 3), np.uint8), 0):
                results.append(True)
            results.append(False)

        sender = threading.Thread(target=send)
        sender.start()
        while publisher.counters["sent"] < 64:
            threading.Event().wait(0.005)
        publisher.close()
        sender.join(timeout=5)
        assert not sender.is_alive()
    assert results[-1] is False


def test_a_socket_that_others_can_reach_is_refused() -> None:
    with pytest.raises(ConfigError, match="other machines"):
        Publisher("tcp://0.0.0.0:5555", "door", policy=Policy.LIVE, clock=Clock())


def test_a_message_larger_than_allowed_never_reaches_the_reader(endpoint: str) -> None:
    huge = zmq.Context.instance().socket(zmq.XPUB)
    try:
        huge.bind(endpoint)
        with Receiver([endpoint], {"frame"}) as receiver:
            huge.recv()
            huge.send_multipart([b"frame.door", b"x" * (65 * 1024 * 1024)])
            assert receiver.get(1.0) is None
            assert receiver.used == 0
    finally:
        huge.close(linger=0)


def test_the_end_reaches_a_receiver_that_is_slow_when_the_sender_closes(endpoint: str) -> None:
    count = 400
    with Receiver(
        [endpoint], {"pose", "end"}, policy=Policy.LOSSLESS, capacity={"pose": 1}
    ) as slow:
        publisher = _publisher(endpoint, Policy.LOSSLESS)
        publisher.wait_for_receivers(threading.Event())
        points = np.zeros((2, 33, 4), np.float32)

        def send() -> None:
            for number in range(count):
                publisher.poses([0, 1], [1.0, 1.0], points, points, number, frame_size=(1, 1))
            publisher.end("over")
            publisher.close()

        sender = threading.Thread(target=send)
        sender.start()
        while publisher.counters["sent"] < 100:
            threading.Event().wait(0.005)
        received = 0
        while not isinstance(slow.get(10), End):
            received += 1
        sender.join()
    assert received == count


def test_closing_does_not_wait_for_receivers_that_take_no_ends(endpoint: str) -> None:
    with Receiver([endpoint], {"frame"}, policy=Policy.LOSSLESS):
        publisher = _publisher(endpoint, Policy.LOSSLESS)
        publisher.wait_for_receivers(threading.Event())
        publisher.end("over")
        closer = threading.Thread(target=publisher.close)
        closer.start()
        closer.join(timeout=10)
        assert not closer.is_alive()

"""Pictures that receivers look at in their sender's memory: none lost, torn or left behind."""

import fcntl
import gc
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.clock import Clock
from jack_stream.errors import WireError
from jack_stream.wire.borrower import Borrower
from jack_stream.wire.codec import decode
from jack_stream.wire.lender import DESCRIPTOR, INLINE, LENT, RETURN, Lender
from jack_stream.wire.messages import End, Frame
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver
from jack_stream.wire.slots import SLOT_BYTES, SLOTS, Slots, look_into
from tests.wire.lending_process import mapped


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/wire"


def _image(number: int) -> np.ndarray:
    return np.full((8, 8, 3), number % 256, np.uint8)


def _publisher(endpoint: str, policy: Policy = Policy.LOSSLESS, receivers: int = 1) -> Publisher:
    return Publisher(endpoint, "door", policy=policy, clock=Clock(), wait_for=receivers)


def _receiver(endpoint: str, **options: int) -> Receiver:
    return Receiver(
        [endpoint],
        {"frame", "end"},
        policy=Policy.LOSSLESS,
        capacity={"frame": options.get("capacity", 2)},
    )


def _get(receiver: Receiver) -> Frame:
    message = receiver.get(10)
    assert isinstance(message, Frame)
    return message


class _Spy:
    """Sees where pictures are, without asking for any: its topic is not theirs."""

    def __init__(self, endpoint: str) -> None:
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.connect(endpoint)
        self._socket.subscribe(LENT)

    def slots(self) -> list[int]:
        """The slots of all messages that came, INLINE for those in none."""
        found = []
        while self._socket.poll(50):
            found.append(DESCRIPTOR.unpack(self._socket.recv_multipart()[2])[2])
        return found

    def close(self) -> None:
        self._socket.close(linger=0)


@contextmanager
def _spying(endpoint: str) -> Iterator[_Spy]:
    spy = _Spy(endpoint)
    try:
        yield spy
    finally:
        spy.close()


def _until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline_s, "waited for 10 s"
        threading.Event().wait(0.005)


def _exchange(publisher: Publisher, receiver: Receiver, number: int) -> Frame:
    publisher.frame(_image(number), number)
    return _get(receiver)


def _lent(publisher: Publisher, *receivers: Receiver) -> None:
    """Send pictures until they go through the memory."""

    def lends() -> bool:
        publisher.frame(_image(0), 0)
        for receiver in receivers:
            _get(receiver)
        lender = publisher._lender
        return lender is not None and lender.names >= publisher._willing

    _until(lends)


def test_pictures_come_whole_and_in_order_before_and_after_they_are_lent(endpoint: str) -> None:
    with (
        _publisher(endpoint) as publisher,
        _spying(endpoint) as spy,
        _receiver(endpoint) as receiver,
    ):
        assert publisher.wait_for_receivers(threading.Event())
        for number in range(100):
            frame = _exchange(publisher, receiver, number)
            assert frame.stamp.seq == number
            assert (frame.image == number).all()
            assert not frame.image.flags.writeable
        with pytest.raises(ValueError, match="WRITEABLE"):
            frame.image.flags.writeable = True
        publisher.end("over", 9)
        assert isinstance(receiver.get(5), End)
        slots = spy.slots()
        assert receiver.counters() == {"received": 101, "used": 101, "lost": 0}
    assert len(slots) > 50, "no picture was lent"
    assert INLINE not in slots
    assert set(slots) <= {0, 1}, "what was given back is used again first"


def test_parts_are_those_of_a_picture_that_was_not_lent(endpoint: str) -> None:
    """So that recordings don't change."""
    with _publisher(endpoint) as publisher, _receiver(endpoint) as receiver:
        publisher.wait_for_receivers(threading.Event())
        _lent(publisher, receiver)
        publisher.frame(_image(3), 3)
        parts = receiver.get_parts(5)
        assert parts is not None
        assert [bytes(parts[0]), bytes(parts[2])] == [b"frame.door", bytes([3]) * 192]
        assert len(parts) == 3
        assert isinstance(decode(parts), Frame)


def test_a_subscriber_from_outside_gets_pictures_as_ever(endpoint: str) -> None:
    outside = zmq.Context.instance().socket(zmq.SUB)
    try:
        with (
            _publisher(endpoint) as publisher,
            _spying(endpoint) as spy,
            _receiver(endpoint) as receiver,
        ):
            publisher.wait_for_receivers(threading.Event())
            _lent(publisher, receiver)
            outside.connect(endpoint)
            outside.subscribe(b"frame.d")
            while not outside.poll(5):
                _exchange(publisher, receiver, 1)
            topic, _, picture = outside.recv_multipart()
            assert (topic, picture) == (b"frame.door", bytes([1]) * 192)
            spy.slots()
            _exchange(publisher, receiver, 2)
            assert spy.slots() == [], "one message is for all"
            outside.close(linger=0)

            def lends_again() -> bool:
                return (_exchange(publisher, receiver, 3).image == 3).all() and bool(spy.slots())

            _until(lends_again)
            assert receiver.lost.total() == 0
    finally:
        outside.close(linger=0)


def test_who_keeps_all_slots_makes_pictures_come_through_the_socket(endpoint: str) -> None:
    with (
        _publisher(endpoint) as publisher,
        _spying(endpoint) as spy,
        _receiver(endpoint) as receiver,
    ):
        publisher.wait_for_receivers(threading.Event())
        _lent(publisher, receiver)
        spy.slots()
        held = [_exchange(publisher, receiver, number) for number in range(SLOTS + 8)]
        for number, frame in enumerate(held):
            assert (frame.image == number).all(), "a picture changed while it was looked at"
        assert sorted(spy.slots()) == sorted([INLINE] * 8 + list(range(SLOTS)))
        parts_of_pictures = [frame.image[2:4, ::2] for frame in held]
        del held, frame
        for number in range(100, 140):
            assert (_exchange(publisher, receiver, number).image == number).all()
        assert set(spy.slots()) == {INLINE}, "what was cut from a picture is still there"
        for number, part in enumerate(parts_of_pictures):
            assert (part == number).all()
        del parts_of_pictures, part
        _exchange(publisher, receiver, 7)
        spy.slots()
        assert (_exchange(publisher, receiver, 8).image == 8).all()
        assert INLINE not in spy.slots()


_steps = st.lists(
    st.one_of(
        st.just("send"),
        st.tuples(st.sampled_from(["get", "let go"]), st.integers(0, 1), st.integers(0, 30)),
    ),
    min_size=20,
    max_size=120,
)


@settings(max_examples=10, deadline=None)
@given(_steps)
def test_no_picture_changes_while_anybody_has_it(steps: list) -> None:
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/s"
        with (
            _publisher(endpoint, receivers=2) as publisher,
            _receiver(endpoint, capacity=200) as one,
            _receiver(endpoint, capacity=200) as two,
        ):
            publisher.wait_for_receivers(threading.Event())
            _lent(publisher, one, two)
            sent = publisher._next_seq["frame"]
            came = [sent, sent]
            held: list[list[Frame]] = [[], []]
            for step in steps:
                if step == "send":
                    publisher.frame(_image(sent), sent)
                    sent += 1
                    continue
                what, who, which = step
                if what == "get" and came[who] < sent:
                    frame = _get((one, two)[who])
                    assert frame.stamp.seq == came[who]
                    came[who] += 1
                    held[who].append(frame)
                elif what == "let go" and which < len(held[who]):
                    del held[who][which]
                for kept in held:
                    assert all((f.image == f.stamp.seq % 256).all() for f in kept)
            for who, receiver in enumerate((one, two)):
                for seq in range(came[who], sent):
                    assert (_get(receiver).image == seq % 256).all()


def test_live_pictures_that_were_dropped_on_the_way_give_their_slots_back(endpoint: str) -> None:
    reader = zmq.Context.instance().socket(zmq.SUB)
    reader.rcvhwm = 4
    borrower = Borrower()
    for topic in (*borrower.topics, b"frame."):
        reader.subscribe(topic)
    reader.connect(endpoint)
    try:
        with _publisher(endpoint, Policy.LIVE) as publisher:
            lender = None
            while lender is None or not lender.names:
                publisher.frame(_image(0), 0)
                while reader.poll(5):
                    borrower.resolve(reader.recv_multipart())
                lender = publisher._lender
            big = np.zeros((300, 300, 3), np.uint8)
            for number in range(2000):  # nobody reads: they fill what there is and are dropped
                publisher.frame(big, number)
            assert lender._slots.full
            while reader.poll(200):
                borrower.resolve(reader.recv_multipart())
            publisher.frame(big, 2001)  # what comes next says what was dropped before
            assert reader.poll(5000)
            borrower.resolve(reader.recv_multipart())
            lender.tend()
            assert lender._slots._users == [0] * SLOTS
        borrower.close()
    finally:
        reader.close(linger=0)


def test_a_receiver_that_is_killed_gives_everything_back(endpoint: str) -> None:
    with _publisher(endpoint) as publisher, _spying(endpoint) as spy:
        holder = subprocess.Popen(
            [sys.executable, "-m", "tests.wire.lending_process", "hold", endpoint],
            stdout=subprocess.PIPE,
        )
        assert publisher.wait_for_receivers(threading.Event())
        said = threading.Event()
        assert holder.stdout is not None
        listener = threading.Thread(target=lambda: (holder.stdout.readline(), said.set()))
        listener.start()
        number = 0
        while not said.is_set():
            publisher.frame(_image(number), number)
            number += 1
            said.wait(0.005)
        assert publisher._lender is not None
        assert publisher._lender._slots.full
        holder.kill()
        holder.wait()
        listener.join()
        holder.stdout.close()
        with _receiver(endpoint) as receiver:
            publisher.wait_for_receivers(threading.Event())
            _until(lambda: len(publisher._willing) == 1 or publisher.frame(_image(0), 0) is None)
            spy.slots()
            _lent(publisher, receiver)
            assert set(spy.slots()) <= {0, 1}


def test_a_sender_that_is_killed_leaves_whole_pictures_and_then_nothing(endpoint: str) -> None:
    before = mapped()
    with _receiver(endpoint) as receiver:
        sender = subprocess.Popen(
            [sys.executable, "-m", "tests.wire.lending_process", "send", endpoint]
        )
        try:
            _until(lambda: bool(_get(receiver)) and mapped() > before)
            # What was on the way before then is not lent yet.
            held = deque((_get(receiver) for _ in range(200)), maxlen=40)
        finally:
            sender.kill()
            sender.wait()
        while receiver.get(0.5) is not None:
            pass
        for frame in held:
            assert (frame.image == frame.stamp.seq % 256).all()
        del held, frame
        _until(lambda: gc.collect() >= 0 and mapped() == before)


def test_the_memory_is_for_its_sender_to_write_and_for_nobody_to_change() -> None:
    with Slots() as slots:
        slot = slots.put(bytes([7]) * 100)
        theirs = os.dup(slots.descriptor)
        try:
            seen = look_into(theirs)
            assert seen[slot, :100].tolist() == [7] * 100
            assert not seen.flags.writeable
            with pytest.raises(PermissionError):
                mmap.mmap(theirs, SLOT_BYTES, prot=mmap.PROT_READ | mmap.PROT_WRITE)
            with pytest.raises(PermissionError):
                os.ftruncate(theirs, 0)
            with pytest.raises(PermissionError):
                os.pwrite(theirs, b"x", 0)
        finally:
            os.close(theirs)
    ours = os.memfd_create("other", os.MFD_ALLOW_SEALING)
    try:
        with pytest.raises(OSError, match="size"):
            look_into(ours)  # it could shrink under a reader, who would die of it
        os.ftruncate(ours, 4096)
        fcntl.fcntl(ours, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        with pytest.raises(OSError, match="size"):
            look_into(ours)
    finally:
        os.close(ours)


@given(st.lists(st.binary(max_size=80), max_size=6))
@settings(max_examples=50, deadline=None)
def test_strangers_at_the_counter_are_sent_away_and_harm_nobody(said: list[bytes]) -> None:
    with Lender() as lender, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.connect(b"\0" + lender.address)
        for packet in said:
            stranger.send(packet)
        lender.tend()
        lender.tend()
        slot = lender.put(b"abc", 0.0)
        assert slot is not None
        lender.sent(slot, lender.names)
        stranger.close()
        lender.tend()
        assert lender.names == set()
        assert lender._slots._users == [0] * SLOTS


def test_only_what_was_lent_is_taken_back() -> None:
    with Lender() as lender, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
        one.connect(b"\0" + lender.address)
        one.send(b"one")
        lender.tend()
        lender.tend()
        slot = lender.put(b"abc", 0.0)
        assert slot is not None
        lender.sent(slot, {b"one"})
        one.send(RETURN.pack(2, 2**64 - 1))
        lender.tend()
        assert lender._slots._users[slot] == 1
        for _ in range(2):
            one.send(RETURN.pack(0, 1))
        lender.tend()
        assert lender._slots._users[slot] == 0


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([b"slot.frame.door", b"memory.x", b"frame.door"]),
            st.builds(
                DESCRIPTOR.pack,
                st.binary(min_size=16, max_size=16),
                st.integers(0, 2**64 - 1),
                st.integers(-3, 40),
                st.integers(0, 2**32 - 1),
            ),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(deadline=None)
def test_whatever_comes_a_borrower_makes_parts_of_it_or_refuses(parts: list[bytes]) -> None:
    borrower = Borrower()
    try:
        resolved = borrower.resolve(list(parts))
    except WireError:
        return
    finally:
        borrower.close()
    assert resolved is None or not bytes(resolved[0]).startswith(LENT + LENT)


@pytest.mark.parametrize(("slot", "size"), [(SLOTS, 4), (-2, 4), (0, SLOT_BYTES + 1)])
def test_a_slot_that_is_none_is_refused(slot: int, size: int) -> None:
    borrower = Borrower()
    with Lender() as lender:
        borrower.resolve([b"memory." + borrower.name, lender.address])
        lender.tend()
        borrower.tend()
        lender.tend()
        assert lender.names == {borrower.name}
        descriptor = DESCRIPTOR.pack(lender.address, 1, slot, size)
        with pytest.raises(WireError, match="no slot"):
            borrower.resolve([b"slot.frame.door", b"", descriptor])
        borrower.close()

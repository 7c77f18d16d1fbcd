from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Generator

import numpy as np
import pytest

from jack_stream.capture.reader import SourceReader
from jack_stream.capture.reconnect import Backoff
from jack_stream.capture.samples import Picture, Sample
from jack_stream.errors import JackError, SourceError, SourceLostError

_IMAGE = np.zeros((2, 2, 3), np.uint8)


def _picture(at_ns: int, origin_ns: int = 0) -> Picture:
    return Picture(_IMAGE, (2, 2), at_ns, origin_ns)


def _all(reader: SourceReader) -> list[Sample]:
    samples = []
    deadline = time.monotonic() + 10
    while not reader.exhausted:
        assert time.monotonic() < deadline
        sample = reader.get(0.05)
        if sample is not None:
            samples.append(sample)
    return samples


def test_a_lost_source_is_opened_again_and_marked() -> None:
    opened = 0

    def samples() -> Generator[Sample, None, None]:
        nonlocal opened
        opened += 1
        if opened in (2, 3):
            raise SourceLostError("the cable is out")
        yield _picture(opened * 10)
        yield _picture(opened * 10 + 1)
        if opened < 4:
            raise SourceLostError("the cable is out")

    counters: Counter[str] = Counter()
    with SourceReader(samples, backoff=Backoff(0.01, 0.02), counters=counters) as reader:
        found = _all(reader)
    assert [sample.captured_at_ns for sample in found] == [10, 11, 40, 41]
    assert [sample.discontinuity for sample in found] == [False, False, True, False]
    assert counters["reconnects"] == 3


def test_recorded_media_wait_and_nothing_is_dropped() -> None:
    produced = 0

    def samples() -> Generator[Sample, None, None]:
        nonlocal produced
        for number in range(500):
            produced += 1
            yield _picture(number, origin_ns=1)

    counters: Counter[str] = Counter()
    with SourceReader(samples, backoff=Backoff(1, 1), counters=counters) as reader:
        assert reader.get(5) is not None
        assert produced < 30
        assert len(_all(reader)) == 499
    assert counters["dropped_overflow"] == 0


def test_of_live_sources_the_newest_are_kept_and_the_rest_counted() -> None:
    def samples() -> Generator[Sample, None, None]:
        for number in range(1000):
            yield _picture(number)

    counters: Counter[str] = Counter()
    with SourceReader(samples, backoff=Backoff(1, 1), counters=counters) as reader:
        while reader.state != "ended":
            threading.Event().wait(0.005)
        found = _all(reader)
    assert found[-1].captured_at_ns == 999
    assert len(found) + counters["dropped_overflow"] == 1000
    assert len(found) < 200


def test_what_cannot_be_mended_is_raised_after_what_came_before() -> None:
    def samples() -> Generator[Sample, None, None]:
        yield _picture(1)
        raise SourceError("no such camera")

    with SourceReader(samples, backoff=Backoff(1, 1), counters=Counter()) as reader:
        assert reader.get(5) is not None
        with pytest.raises(SourceError, match="no such camera"):
            reader.get(5)


def test_a_defect_is_an_error_and_no_silence() -> None:
    def samples() -> Generator[Sample, None, None]:
        yield _picture(1 // 0)

    with (
        SourceReader(samples, backoff=Backoff(1, 1), counters=Counter()) as reader,
        pytest.raises(JackError, match="ZeroDivisionError"),
    ):
        reader.get(5)


@pytest.mark.parametrize("in_open", [True, False])
def test_closing_does_not_wait_for_a_source_that_hangs(in_open: bool) -> None:
    released = threading.Event()

    def samples() -> Generator[Sample, None, None]:
        if in_open:
            released.wait()
        yield _picture(1)
        released.wait()

    reader = SourceReader(samples, backoff=Backoff(1, 1), counters=Counter())
    with reader:
        assert (reader.get(0.2) is None) == in_open
        began = time.monotonic()
    assert time.monotonic() - began < 1
    released.set()


def test_closing_does_not_wait_for_the_next_try() -> None:
    def samples() -> Generator[Sample, None, None]:
        yield from ()
        raise SourceLostError("gone")

    with SourceReader(samples, backoff=Backoff(60, 60), counters=Counter()) as reader:
        while reader.state != "lost":
            reader.get(0.01)
        assert reader.detail == "gone"
        began = time.monotonic()
    assert time.monotonic() - began < 0.25

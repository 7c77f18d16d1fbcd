"""The small parts: redaction, resizing, rates, time lines, back-off, sample clock."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.capture.drift import DriftMeter, slope
from jack_stream.capture.pacing import RateLimit
from jack_stream.capture.reconnect import Backoff
from jack_stream.capture.redact import redact
from jack_stream.capture.resize import Resizer
from jack_stream.capture.sample_clock import SampleClock
from jack_stream.capture.samples import Picture, Sound, after_gap
from jack_stream.capture.timeline import ArrivalTimeline, LiveTimeline, MediaTimeline
from jack_stream.clock import NS_PER_S


class ManualClock:
    """Time that the test sets."""

    def __init__(self, at_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self.at_ns = at_ns

    def now_ns(self) -> int:
        return self.at_ns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://admin:s3cret@10.0.0.7/live", "rtsp://***@10.0.0.7/live"),
        ("rtsp://admin:p@ss:w0rd@cam/live", "rtsp://***@cam/live"),
        ("rtsp://admin:p/a?s#s@cam/live", "rtsp://***@cam/live"),
        ("rtsp://cam:554/live/a@b", "rtsp://cam:554/live/a@b"),
        ("rtsp://only-user@cam/live", "rtsp://***@cam/live"),
        ("http://cam/v?user=a&password=b&n=1", "http://cam/v?user=a&password=***&n=1"),
        ("https://cam/v?access_token=abc#x", "https://cam/v?access_token=***#x"),
        (
            "can't open 'rtsp://u:p@h/x' or rtsp://v:q@i",
            "can't open 'rtsp://***@h/x' or rtsp://***@i",
        ),
        ("rtsp://10.0.0.7:554/live?channel=1", "rtsp://10.0.0.7:554/live?channel=1"),
        ("/home/me@work/film.mp4", "/home/me@work/film.mp4"),
    ],
)
def test_secrets_are_redacted(text: str, expected: str) -> None:
    assert redact(text) == expected


@given(
    user=st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True),
    password=st.from_regex(r"[A-Za-z0-9!$&'()*+,;=:@%._~-]{4,20}", fullmatch=True),
)
def test_no_password_survives(user: str, password: str) -> None:
    redacted = redact(f"lost rtsp://{user}:{password}@camera.example:554/live?channel=1")
    assert redacted == "lost rtsp://***@camera.example:554/live?channel=1"


def test_pictures_keep_their_shape_unless_told_otherwise() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    assert Resizer(320)(image).shape == (240, 320, 3)
    assert Resizer(320, 100)(image).shape == (100, 320, 3)
    assert Resizer(1280)(image).shape == (960, 1280, 3)
    assert Resizer(640)(image) is image


def test_shrinking_averages_areas() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[::2] = 200  # every other row; sampling would give 0 or 200
    assert np.all(Resizer(32)(image) == 100)


@given(
    source=st.floats(5, 120),
    wanted=st.floats(1, 60),
    rounding=st.sampled_from([1, 1000, 1_000_000]),
)
def test_the_rate_is_kept_without_drift(source: float, wanted: float, rounding: int) -> None:
    limit = RateLimit(wanted)
    times = [int(i * NS_PER_S / source) // rounding * rounding for i in range(int(source * 10))]
    kept = sum(limit.keeps(at) for at in times)
    assert kept <= wanted * 10 + 1.1
    if source >= wanted:
        assert kept >= min(wanted, source) * 10 * 0.5 - 1
    else:
        assert kept >= len(times) * 0.9


def test_half_the_rate_keeps_every_other_picture() -> None:
    limit = RateLimit(15)
    kept = [i for i in range(30) if limit.keeps(round(i * 1000 / 30) * 1_000_000)]
    assert kept == list(range(0, 30, 2))


def test_recorded_time_depends_on_media_time_alone() -> None:
    clock = ManualClock()
    timeline = MediaTimeline(clock)
    timeline.observe(0)
    origin_ns = clock.at_ns
    clock.at_ns += 77 * NS_PER_S
    timeline.observe(40_000_000)
    assert timeline.origin_ns == origin_ns
    assert timeline.captured_at_ns(40_000_000) == origin_ns + 40_000_000
    timeline.begin_loop(2 * NS_PER_S)
    assert timeline.captured_at_ns(0) == origin_ns + 2 * NS_PER_S


@given(
    delays_ms=st.lists(st.integers(0, 300), min_size=300, max_size=600),
    drift_ppm=st.integers(-200, 200),
)
def test_live_time_never_goes_back_and_follows_the_least_delay(
    delays_ms: list[int], drift_ppm: int
) -> None:
    clock = ManualClock()
    timeline = LiveTimeline(clock)
    start_ns = clock.at_ns
    last_ns = 0
    for number, delay_ms in enumerate([*delays_ms, *[10] * 200]):
        real_ns = number * 40_000_000
        media_ns = 5 * NS_PER_S + real_ns + real_ns * drift_ppm // 1_000_000
        clock.at_ns = start_ns + real_ns + delay_ms * 1_000_000
        timeline.observe(media_ns)
        captured_ns = timeline.captured_at_ns(media_ns)
        assert captured_ns > last_ns
        last_ns = captured_ns
    assert timeline.jumps == 0
    assert abs(last_ns - (start_ns + real_ns)) < 25_000_000  # 10 ms delay, 60 s of 200 ppm


def test_a_jump_of_the_senders_clock_starts_anew() -> None:
    clock = ManualClock()
    timeline = LiveTimeline(clock)
    timeline.observe(0)
    clock.at_ns += 40_000_000
    timeline.observe(3600 * NS_PER_S)
    assert timeline.jumps == 1
    assert timeline.captured_at_ns(3600 * NS_PER_S) == clock.at_ns


def test_without_timestamps_arrival_counts() -> None:
    clock = ManualClock()
    timeline = ArrivalTimeline(clock)
    timeline.observe(40_000_000)
    clock.at_ns += NS_PER_S
    timeline.observe(80_000_000)
    assert timeline.captured_at_ns(80_000_000) == clock.at_ns
    assert timeline.origin_ns == 0


def test_waits_double_up_to_the_longest_and_start_again() -> None:
    backoff = Backoff(0.5, 4, random.Random(1))
    for longest in (0.5, 1, 2, 4, 4, 4):
        assert longest / 2 <= backoff.next_s() <= longest
    backoff.reset()
    assert backoff.next_s() <= 0.5
    first = [Backoff(1, 8, random.Random(seed)).next_s() for seed in range(5)]
    assert len(set(first)) == 5


@given(noise=st.binary(min_size=800, max_size=800))  # a list of 800 numbers takes long to draw
def test_sample_times_are_even_however_reports_jitter(noise: bytes) -> None:
    clock = SampleClock(48000)
    starts = []
    for number, byte in enumerate(noise):
        jitter_ms = byte % 31 - 15
        start_ns, gap = clock.place(960, NS_PER_S + number * 20_000_000 + jitter_ms * 1_000_000)
        assert not gap
        starts.append(start_ns)
    assert np.diff(starts) == pytest.approx(20_000_000, abs=310_000)
    assert abs(starts[-1] - (NS_PER_S + 799 * 20_000_000)) < 16_000_000


def test_a_drifting_card_is_followed() -> None:
    clock = SampleClock(48000)
    for number in range(30_000):  # ten minutes at 100 ppm: 60 ms
        real_ns = int(number * 20_000_000 * (1 + 100e-6))
        start_ns, gap = clock.place(960, real_ns)
        assert not gap
    assert abs(start_ns - real_ns) < 250_000


@pytest.mark.parametrize("drift_ppm", [-200, 0, 200])
@pytest.mark.parametrize("block_ms", [20, 200])
def test_an_hour_of_a_drifting_card_stays_within_five_milliseconds(
    drift_ppm: int, block_ms: int
) -> None:
    clock, jitter = SampleClock(48000), random.Random(drift_ppm)
    samples = 48 * block_ms
    last_ns, worst_ns = 0, 0.0
    for number in range(3_600_000 // block_ms):
        real_ns = number * block_ms * 1e6 / (1 + drift_ppm * 1e-6)
        reported_ns = round(real_ns + jitter.uniform(-3e6, 3e6))
        start_ns, gap = clock.place(samples, reported_ns)
        assert not gap
        if number:
            assert abs(start_ns - last_ns - block_ms * 1e6) <= block_ms * 1e4, "no jumps"
        last_ns = start_ns
        worst_ns = max(worst_ns, abs(start_ns - real_ns))
    assert worst_ns < 5e6
    assert clock.drift_ppm == pytest.approx(drift_ppm, abs=5)


@pytest.mark.parametrize("drift_ppm", [-200, 0, 200])
def test_an_hour_of_a_drifting_sender_stays_within_five_milliseconds(drift_ppm: int) -> None:
    clock, jitter = ManualClock(), random.Random(drift_ppm)
    gauges: dict[str, float] = {}
    timeline = LiveTimeline(clock, gauges)
    start_ns, worst_ns = clock.at_ns, 0
    for real_ns in range(0, 3600 * NS_PER_S, NS_PER_S // 10):
        media_ns = real_ns + real_ns * drift_ppm // 1_000_000
        clock.at_ns = start_ns + real_ns + round(1e6 + jitter.expovariate(1) * 8e6)
        timeline.observe(media_ns)
        if real_ns > 2 * NS_PER_S:  # until it is known how fast packets can be
            error_ns = timeline.captured_at_ns(media_ns) - start_ns - real_ns
            worst_ns = max(worst_ns, abs(error_ns))
    assert worst_ns < 5e6
    assert timeline.jumps == 0
    assert gauges["clock_drift_ppm"] == pytest.approx(drift_ppm, abs=5)


def test_a_drift_is_told_only_once_it_can_be_seen() -> None:
    meter = DriftMeter()
    for second in range(19):
        meter.note(second * NS_PER_S, 0)
    assert meter.ppm is None
    for second in range(19, 60):
        meter.note(second * NS_PER_S, 0)
    assert meter.ppm == 0


@given(
    rate=st.floats(-1e-3, 1e-3, allow_subnormal=False),
    wild=st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=5, max_size=5),
)
def test_a_slope_survives_a_quarter_of_wild_points(rate: float, wild: list[float]) -> None:
    x = np.arange(20.0)
    y = rate * x
    y[3:8] += wild
    assert slope(x, y) == pytest.approx(rate, abs=1e-9)


def test_missing_samples_are_a_gap() -> None:
    clock = SampleClock(48000)
    clock.place(960, 0)
    assert clock.place(960, 20_000_000) == (20_000_000, False)
    assert clock.place(960, 540_000_000) == (540_000_000, True)


def test_the_first_of_each_kind_after_a_gap_is_marked() -> None:
    picture = Picture(np.zeros((2, 2, 3), np.uint8), (2, 2), 5)
    sound = Sound(np.zeros(8, np.float32), 8000, 5)
    marks = [s.discontinuity for s in after_gap([picture, picture, sound, sound, picture])]
    assert marks == [True, False, True, False, False]
    assert sound.end_ns == 5 + 1_000_000

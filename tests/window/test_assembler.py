"""Windows depend on what was captured when, and on nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.clock import NS_PER_S
from jack_stream.window.assembler import WindowAssembler
from jack_stream.window.sound import cut_sound
from jack_stream.window.spec import Sample, Window, WindowSpec, phase_of
from jack_stream.wire.messages import Audio, End, Frame, Poses, Stamp

MS = 1_000_000
ORIGIN = 1_700_000_000_000_000_123


def _frame(seq: int, at_ms: float, *, origin: int = ORIGIN, session: str = "v") -> Frame:
    stamp = Stamp("door", seq, origin + round(at_ms * MS), session, origin)
    return Frame(stamp, np.zeros((2, 2, 3), np.uint8), (2, 2))


def _sound(seq: int, at_ms: float, n: int = 160, session: str = "v") -> Audio:
    stamp = Stamp("door", seq, ORIGIN + round(at_ms * MS), session, ORIGIN)
    return Audio(stamp, np.full(n, seq + 1, np.float32), 8000)


def _pose(seq: int, at_ms: float) -> Poses:
    stamp = Stamp("door", seq, ORIGIN + round(at_ms * MS), "p", ORIGIN)
    nobody = np.zeros((0, 33, 4), np.float32)
    return Poses(stamp, (), (), nobody, nobody, (2, 2))


def _end(at_ms: float, session: str = "v") -> End:
    return End(Stamp("door", 0, ORIGIN + round(at_ms * MS), session, ORIGIN), "over")


def _spec(length: int = 1000, hop: int = 500, *modalities: str, late: int = 10_000) -> WindowSpec:
    return WindowSpec(length * MS, hop * MS, modalities or ("frame",), late * MS)  # type: ignore[arg-type]


def _run(
    assembler: WindowAssembler, messages: Sequence[Frame | Audio | Poses | End]
) -> list[Window]:
    windows = []
    for message in messages:
        assembler.add(message)
        windows.extend(assembler.ready())
    return windows


def _content(window: Window) -> tuple[object, ...]:
    keys = {m: [s.stamp.seq for s in found] for m, found in window.samples.items()}
    return window.index, window.start_ns, window.end_ns, keys, window.degraded, window.newest_ns


def test_windows_lie_on_the_grid_of_media_time() -> None:
    windows = _run(WindowAssembler("door", _spec()), [_frame(i, i * 100) for i in range(26)])
    assert [w.start_ns - ORIGIN for w in windows] == [0, 500 * MS, 1000 * MS, 1500 * MS]
    assert [s.stamp.seq for s in windows[1].frames] == list(range(5, 15))
    assert not any(w.degraded for w in windows)


def test_a_device_starts_with_the_first_whole_window() -> None:
    frames = [_frame(i, 700 + i * 100, origin=0) for i in range(25)]
    windows = _run(WindowAssembler("door", _spec()), frames)
    assert windows[0].start_ns == 1000 * MS
    assert windows[0].index == 2


def test_the_end_completes_the_last_window_and_cuts_none_that_is_not_full() -> None:
    messages = [_frame(i, i * 100) for i in range(17)]
    windows = _run(WindowAssembler("door", _spec()), [*messages, _end(1700)])
    assert [w.index for w in windows] == [0, 1]


def test_a_stream_that_is_shorter_than_a_window_still_gives_one() -> None:
    windows = _run(WindowAssembler("door", _spec()), [_frame(0, 0), _frame(1, 100), _end(200)])
    assert [_content(w)[0] for w in windows] == [0]
    assert windows[0].degraded == ("shorter than a window",)


def test_a_modality_that_stays_away_is_waited_for_and_then_named() -> None:
    assembler = WindowAssembler("door", _spec(1000, 1000, "frame", "audio", late=500))
    windows = _run(assembler, [_frame(i, i * 100) for i in range(16)])
    assert [w.degraded for w in windows] == [("audio missing",)]
    assert windows[0].present == ("frame",)
    assert assembler.counters["windows_degraded"] == 1


def test_a_lost_message_degrades_the_windows_that_it_belonged_to() -> None:
    frames = [_frame(i, i * 100) for i in range(31) if i != 12]
    windows = _run(WindowAssembler("door", _spec(1000, 1000)), frames)
    assert [w.degraded for w in windows] == [(), ("frame lost",), ()]


def test_a_source_that_starts_anew_starts_a_new_grid() -> None:
    later = ORIGIN + 60_000 * MS
    again = [_frame(i, i * 100, origin=later, session="w") for i in range(12)]
    assembler = WindowAssembler("door", _spec())
    windows = _run(assembler, [*(_frame(i, i * 100) for i in range(8)), *again])
    assert [(w.index, w.start_ns) for w in windows] == [(0, later)]
    assert assembler.counters["dropped_reset"] == 8


def test_late_and_double_samples_are_dropped_and_counted() -> None:
    assembler = WindowAssembler("door", _spec(1000, 1000))
    frames = [_frame(i, i * 100) for i in range(12)]
    _run(assembler, [*frames, frames[11], _frame(3, 300)])
    assert assembler.counters["dropped_double"] == 1
    assert assembler.counters["dropped_late"] == 1
    assert assembler.counters["used"] == 12


@given(
    order=st.randoms(use_true_random=False),
    length=st.integers(100, 900),
    hop=st.integers(60, 900),
    lost=st.sets(st.integers(0, 39), max_size=4),
)
def test_delays_between_the_modalities_change_nothing(
    order: object, length: int, hop: int, lost: set[int]
) -> None:
    frames: list[Sample] = [_frame(i, i * 40.0) for i in range(40) if i not in lost]
    sounds: list[Sample] = [_sound(i, i * 20.0) for i in range(80) if i not in lost]
    spec = _spec(length, hop, "frame", "audio")
    reference = _run(
        WindowAssembler("door", spec),
        [*sorted([*frames, *sounds], key=lambda s: s.stamp.captured_at_ns), _end(1600)],  # type: ignore[list-item]
    )
    mixed = []
    queues = [list(frames), list(sounds)]
    while any(queues):
        queue = order.choice([q for q in queues if q])  # type: ignore[attr-defined]
        mixed.append(queue.pop(0))
    delayed = _run(WindowAssembler("door", spec), [*mixed, _end(1600)])
    assert [_content(w) for w in delayed] == [_content(w) for w in reference]
    expected = max(0, (1600 - length) // hop + 1)
    assert len(reference) == max(expected, 1)


def test_only_what_a_window_may_need_is_kept() -> None:
    assembler = WindowAssembler("door", _spec())
    for i in range(5000):
        _run(assembler, [_frame(i, i * 40)])
    kept = sum(len(track.samples) for track in assembler._tracks.values())
    assert kept <= 1500 / 40 + 2


def test_pictures_are_shrunk_before_they_are_kept() -> None:
    def shrink(frame: Frame) -> Frame:
        return replace(frame, image=frame.image[:1, :1])

    assembler = WindowAssembler("door", _spec(), shrink=shrink)
    windows = _run(assembler, [_frame(i, i * 100) for i in range(12)])
    assert {frame.image.shape for frame in windows[0].frames} == {(1, 1, 3)}


class TestSound:
    def test_blocks_are_laid_on_the_grid_and_cut_at_its_ends(self) -> None:
        blocks = [_sound(i, i * 20.0) for i in range(4)]
        sound, captured = cut_sound(blocks, ORIGIN + 10 * MS, ORIGIN + 50 * MS)
        assert sound.tolist() == [1.0] * 80 + [2.0] * 160 + [3.0] * 80
        assert captured == 1.0

    def test_what_was_not_captured_is_silent_and_counted(self) -> None:
        sound, captured = cut_sound([_sound(0, 0.0), _sound(2, 40.0)], ORIGIN, ORIGIN + 80 * MS)
        assert sound.tolist() == [1.0] * 160 + [0.0] * 160 + [3.0] * 160 + [0.0] * 160
        assert captured == 0.5

    def test_rounded_times_leave_no_seam(self) -> None:
        blocks = [_sound(i, i * 20.0 + (0.1 if i % 2 else 0.0)) for i in range(4)]
        sound, captured = cut_sound(blocks, ORIGIN, ORIGIN + 80 * MS)
        assert captured == 1.0
        assert sound.tolist() == [float(i // 160 + 1) for i in range(640)]

    @pytest.mark.parametrize("drift_ppm", [-200, 200])
    def test_a_drifting_card_leaves_no_seam_in_ten_seconds(self, drift_ppm: int) -> None:
        rate, count = 44100, 882
        blocks = []
        for number in range(-2, 503):
            at_ns = round(number * 20 * MS * (1 + drift_ppm * 1e-6)) + 300_000 * (number % 2)
            ramp = np.arange(number * count, (number + 1) * count, dtype=np.float32)
            blocks.append(Audio(Stamp("door", number + 2, at_ns, "v"), ramp, rate))
        inside = [b for b in blocks if -20 * MS < b.stamp.captured_at_ns < 10_000 * MS]
        sound, captured = cut_sound(inside, 0, 10_000 * MS)
        assert len(sound) == 441_000
        assert captured > 0.9998
        heard = sound[100:-100]
        assert (np.diff(heard) == 1).all()
        assert abs(heard[0] - 100) < 60, "a little more than a millisecond"

    def test_what_was_lost_is_not_closed_up(self) -> None:
        blocks = [_sound(0, 0.0), _sound(2, 23.0)]
        assert cut_sound(blocks, ORIGIN, ORIGIN + 43 * MS)[1] == pytest.approx(40 / 43)

    def test_two_sample_rates_are_refused(self) -> None:
        other = replace(_sound(1, 20.0), sample_rate=16000)
        with pytest.raises(ValueError, match="8000, 16000"):
            cut_sound([_sound(0, 0.0), other], ORIGIN, ORIGIN + MS)


def _instants(times_s: list[float], session: str = "s") -> list[Frame]:
    image = np.zeros((1, 1, 3), np.uint8)
    return [
        Frame(Stamp("door", seq, round(at_s * NS_PER_S), session), image, (1, 1))
        for seq, at_s in enumerate(times_s)
    ]


def _second_by_second() -> WindowAssembler:
    return WindowAssembler("door", WindowSpec(NS_PER_S, NS_PER_S, ("frame",), 0))


@pytest.mark.parametrize("leap_s", [120.0, 3e7, 9e9])
@pytest.mark.parametrize("before_s", [0.05, 3.0])
def test_a_leap_of_time_is_not_filled_with_windows(leap_s: float, before_s: float) -> None:
    assembler = _second_by_second()
    times_s = [*np.arange(0, before_s, 0.1), *(leap_s + np.arange(0, 3, 0.1))]
    windows = []
    for frame in _instants(times_s):
        assembler.add(frame)
        windows += assembler.ready()
    assert len(windows) < 8
    starts = {window.start_ns // NS_PER_S for window in windows}
    assert starts >= {int(leap_s) + 1, *range(int(before_s) - 1)}
    assert assembler.counters["leaps"] == 1


def test_a_leap_within_a_medium_keeps_its_grid() -> None:
    assembler = WindowAssembler("door", WindowSpec(NS_PER_S, 3 * NS_PER_S, ("frame",), 0))
    origin_ns = 5 * NS_PER_S
    windows = []
    for frame in _instants([0, 0.5, 1.0, 500, 501, 502, 503, 504]):
        stamp = replace(
            frame.stamp, captured_at_ns=frame.stamp.captured_at_ns + origin_ns, origin_ns=origin_ns
        )
        assembler.add(replace(frame, stamp=stamp))
        windows += assembler.ready()
    assert all((window.start_ns - origin_ns) % (3 * NS_PER_S) == 0 for window in windows)
    assert [window.index for window in windows] == [0, 167]


def test_an_end_in_the_far_future_makes_no_more_windows_than_a_minute_has() -> None:
    assembler = _second_by_second()
    for frame in _instants([0, 0.5, 1.0]):
        assembler.add(frame)
    assembler.add(End(Stamp("door", 0, 2**62, "s"), "a lie"))
    assert len(list(assembler.ready())) <= 62


def test_a_sender_whose_clock_was_set_back_is_heard_again() -> None:
    assembler = _second_by_second()
    for frame in [*_instants([5000, 5001, 5002]), *_instants([10.0, 11.0, 12.5], "anew")]:
        assembler.add(frame)
    assert [window.start_ns // NS_PER_S for window in assembler.ready()] == [10, 11]


def test_samples_at_one_instant_do_not_pile_up_for_ever() -> None:
    assembler = _second_by_second()
    for frame in _instants([0.0] * 4000):
        assembler.add(frame)
    assert assembler.counters["used"] == 2000
    assert assembler.counters["dropped_full"] == 2000


def test_an_origin_that_lies_far_back_is_not_caught_up_with() -> None:
    assembler = _second_by_second()
    for frame in _instants([1e9, 1e9 + 1, 1e9 + 2]):
        assembler.add(replace(frame, stamp=replace(frame.stamp, origin_ns=1)))
    assert [window.start_ns for window in assembler.ready()] == [10**18 + 1 + 0 * NS_PER_S]


def test_what_is_lost_at_the_edge_of_a_window_degrades_it() -> None:
    """The source died within one window and came back within another."""
    before = [_frame(i, i * 40.0) for i in range(38)]  # up to 1480 ms
    after = [_frame(i, 3600 + i * 40.0, session="b") for i in range(40)]
    windows = _run(WindowAssembler("door", _spec(1000, 1000)), [*before, *after])
    assert [w.degraded for w in windows] == [
        (),
        ("frame lost",),
        ("frame missing",),
        ("frame lost",),
        (),
    ]


def test_a_loss_between_two_windows_degrades_neither() -> None:
    frames = [_frame(i, i * 40.0) for i in range(80) if i not in {27, 28, 29}]  # 1080 to 1160
    windows = _run(WindowAssembler("door", _spec(1000, 1200)), frames)
    assert [w.degraded for w in windows[:2]] == [(), ()]


def test_poses_that_stay_away_degrade_what_they_are_missing_from() -> None:
    """Their process lives on when its camera dies: its numbers have no gap, only its times."""
    times = [i * 40.0 for i in range(30)] + [2600 + i * 40.0 for i in range(40)]
    poses = [_pose(i, ms) for i, ms in enumerate(times)]
    windows = _run(WindowAssembler("door", _spec(1000, 1000, "pose")), poses)
    assert [w.degraded for w in windows] == [(), ("pose lost",), ("pose lost",), ()]


def test_a_devices_grid_lies_at_its_phase_and_a_files_at_media_time_zero() -> None:
    spec = WindowSpec(NS_PER_S, NS_PER_S, ("frame",), 0, phase_ns=300 * MS)
    assembler = WindowAssembler("door", spec)
    for frame in _instants([100.0 + i / 10 for i in range(30)]):
        assembler.add(frame)
    windows = list(assembler.ready())
    assert [w.start_ns - 100 * NS_PER_S for w in windows] == [300 * MS, 1300 * MS]
    assert {(w.zero_ns, w.origin_ns) for w in windows} == {(0, 300 * MS)}
    film = WindowAssembler("door", spec)
    for frame in [_frame(i, i * 100) for i in range(21)]:
        film.add(frame)
    assert [(w.start_ns, w.zero_ns) for w in film.ready()] == [
        (ORIGIN, ORIGIN), (ORIGIN + NS_PER_S, ORIGIN),
    ]  # fmt: skip


@given(st.text(min_size=1), st.integers(1, 10 * NS_PER_S), st.integers(1, 5))
def test_grids_of_a_stream_stay_in_step(name: str, hop_ns: int, times: int) -> None:
    phase, wide = phase_of(name, hop_ns), phase_of(name, times * hop_ns)
    assert 0 <= phase < hop_ns
    assert wide % hop_ns == phase
    assert phase == phase_of(name, hop_ns)


def test_streams_are_due_at_different_times() -> None:
    phases = sorted(phase_of(f"camera-{i}", NS_PER_S) for i in range(16))
    assert max(b - a for a, b in pairwise(phases)) < NS_PER_S / 3

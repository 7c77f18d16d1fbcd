import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from jack_stream.errors import SourceError
from jack_stream.features.erasing import kept_frames
from jack_stream.features.snippets import sample_snippets
from jack_stream.features.spatial import Augmentation, centre_view
from jack_stream.inference.sound import FbankPieces, MfccPieces
from tests.trainers.made_clips import write_clips
from trainers.audio_visual.samples import Sampling, draw_snippets, make_sample
from trainers.audio_visual.workers import Ahead, Workers
from trainers.data.clips import Clip, read_clips, read_frames, read_sound, sound_rate

VAANET, CTEN = Sampling(3, "mfcc", 2), Sampling(3, "fbank", 3)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, ...]:
    folder = write_clips(tmp_path_factory.mktemp("made") / "set", clips=12, layout="annotated")
    return read_clips(folder).training


def _numbered(frames: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Pictures that say which frame they are, and which way is down: their rows get brighter."""
    pictures = np.zeros((len(frames), 112, 112, 3), np.uint8)
    pictures[..., 0] = np.linspace(0, 100, 112)[:, None]
    pictures[..., 1] = frames[:, None, None]
    return pictures


def _seed_without_change(frames: npt.NDArray[np.int64]) -> int:
    for seed in range(100):
        rng = random.Random(seed)
        sample_snippets(frames, 4, rng=rng)
        if Augmentation.draw(rng) in [Augmentation(p) for p in ("c", "tl", "tr", "bl", "br")]:
            return seed
    raise AssertionError


def test_only_kept_frames_are_shown_upright() -> None:
    frames = kept_frames(np.array([False, True, True, False]), 100)
    rng = random.Random(_seed_without_change(frames))
    visual = draw_snippets(frames, 4, _numbered, rng)
    assert visual.shape == (4, 3, 16, 112, 112)
    shown = visual[:, 1, :, 50, 50]
    assert shown.min() >= 26
    assert shown.max() <= 75
    red = visual[0, 0, 0].astype(int)
    assert (np.diff(red, axis=0) >= 0).all()
    assert red[-1, 0] > 90
    np.testing.assert_array_equal(red[:, 0], red[:, 111])


def test_frames_are_drawn_before_the_augmentation() -> None:
    frames = np.arange(200)
    rng, again = random.Random(3), random.Random(3)
    visual = draw_snippets(frames, 4, _numbered, rng)
    runs = sample_snippets(frames, 4, rng=again)
    picture = Augmentation.draw(again)(_numbered(runs[2, 5:6])[0])
    np.testing.assert_array_equal(visual[2, :, 5].transpose(1, 2, 0), picture)
    assert rng.getstate() == again.getstate()


def test_each_frame_is_loaded_once() -> None:
    loaded: list[int] = []

    def load(frames: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        loaded.extend(frames.tolist())
        return _numbered(frames)

    draw_snippets(np.arange(10), 4, load, random.Random(0))
    assert loaded == list(range(10))


def test_a_test_sample_is_what_a_stream_sees_and_hears(clips: tuple[Clip, ...]) -> None:
    clip = clips[0]
    runs = sample_snippets(np.arange(clip.n_frames), 3)
    expected = centre_view(read_frames(clip, runs[1, 4:5])[0])
    rate = sound_rate(clip.sound) if clip.sound else 0
    for sampling, pieces in (
        (VAANET, MfccPieces(2)(read_sound(clip, 44_100), 44_100)),
        (CTEN, FbankPieces(3)(read_sound(clip, rate), rate)),
    ):
        inputs = sampling.sample(clip)
        np.testing.assert_array_equal(inputs.visual[1, :, 4].transpose(1, 2, 0), expected)
        np.testing.assert_array_equal(inputs.audio, pieces.reshape(-1, pieces.shape[-1]))


def test_a_training_sample_depends_on_its_seed_alone(clips: tuple[Clip, ...]) -> None:
    for sampling in (VAANET, CTEN):
        one, same = sampling.sample(clips[0], 5), sampling.sample(clips[0], 5)
        np.testing.assert_array_equal(one.visual, same.visual)
        np.testing.assert_array_equal(one.audio, same.audio)
    assert len({VAANET.sample(clips[0], seed).visual.tobytes() for seed in range(8)}) > 2


def test_a_hidden_modality_is_the_same_for_all(clips: tuple[Clip, ...]) -> None:
    blind, deaf = Sampling(3, "fbank", 3, hide="picture"), Sampling(3, "fbank", 3, hide="sound")
    assert not any(blind.sample(clip, 1).visual.any() for clip in clips)
    assert len({deaf.sample(clip, 1).audio.tobytes() for clip in clips}) == 1
    assert len({deaf.sample(clip, 1).visual.tobytes() for clip in clips}) == len(clips)


def test_a_sound_that_is_too_short_is_named(clips: tuple[Clip, ...], tmp_path: Path) -> None:
    wav = tmp_path / "click.wav"
    source = clips[0].sound
    assert source is not None
    wav.write_bytes(source.read_bytes()[:84])
    clip = Clip("click", 0, clips[0].frames, wav, clips[0].n_frames, None)
    with pytest.raises(SourceError, match=r"click\.wav"):
        VAANET.sample(clip)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as started:
        yield started


def test_workers_change_nothing(clips: tuple[Clip, ...], workers: Workers) -> None:
    batches = [[(CTEN, clip, seed) for clip in clips[:2]] for seed in (1, 2, 3)]
    alone = list(Ahead(Workers(0), make_sample, batches))
    helped = Ahead(workers, make_sample, batches)
    for one, other in zip(alone, helped, strict=True):
        for a, b in zip(one, other, strict=True):
            assert (a.clip, a.seed) == (b.clip, b.seed)
            np.testing.assert_array_equal(a.inputs.visual, b.inputs.visual)
            np.testing.assert_array_equal(a.inputs.audio, b.inputs.audio)
    # A run that goes on begins in the middle, and one of several processes has every second batch.
    assert [s.seed for s in Ahead(workers, make_sample, batches)[2]] == [3, 3]
    assert [some[0].seed for some in Ahead(workers, make_sample, batches)[1::2]] == [2]


def test_the_next_batches_are_begun_and_no_more() -> None:
    made: Counter[int] = Counter()

    class Lazy(Workers):
        def start(self, make, jobs):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            made.update(number for (number,) in jobs)
            return super().start(make, jobs)

    batches = Ahead(Lazy(0), int, [[(number,)] for number in range(9)])
    assert batches[0] == [0]
    assert set(made) == {0, 1, 2}
    assert list(batches)[1:] == [[number] for number in range(1, 9)]
    assert max(made.values()) <= 2


def test_what_goes_wrong_in_a_worker_is_said(clips: tuple[Clip, ...], workers: Workers) -> None:
    gone = Clip("gone", 0, clips[0].frames, Path("/nowhere.wav"), clips[0].n_frames, None)
    with pytest.raises(SourceError, match=r"nowhere\.wav"):
        Ahead(workers, make_sample, [[(CTEN, gone, 0)]])[0]


def test_workers_end_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"working\n"
    parent.kill()
    # Its workers have the same standard output, which ends when the last of them has.
    assert parent.stdout.read() == b""
    parent.communicate()


_PARENT = """
import os, sys
from trainers.audio_visual.workers import Workers

if __name__ == "__main__":
    with Workers(1) as workers:
        assert workers.start(os.getpid, [()])() != [os.getpid()]
        print("working", flush=True)
        sys.stdin.read()
"""

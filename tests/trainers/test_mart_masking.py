"""What MART hides, and which words it believes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import SourceError
from jack_stream.features.fbank import normalise
from jack_stream.features.wordpiece import ByteTokenizer
from trainers.data.clips import Clip
from trainers.mart.masking import hide_tubelets, mask_ratio, ranked_mask, spec_augment
from trainers.mart.words import Lexicon, Meaning, Script, spoken


def test_the_ratio_grows_to_a_half() -> None:
    ratios = [mask_ratio(epoch, 100) for epoch in (0, 25, 50, 99)]
    np.testing.assert_allclose(ratios, [0.1, 0.3, 0.5, 0.5])


@settings(deadline=None)
@given(st.integers(1, 30), st.floats(0, 1, allow_subnormal=False), st.integers(0, 8))
def test_the_paper_hides_what_comes_after_the_highest(
    tokens: int, progress: float, revealed: int
) -> None:
    attention = np.random.default_rng(0).permutation(3 * tokens).reshape(3, tokens)
    mask = ranked_mask(attention.astype(np.float32), progress, revealed)
    ranks = (-attention).argsort(1).argsort(1)
    expected = (ranks >= revealed) & (ranks < revealed + np.ceil(progress * tokens))
    np.testing.assert_array_equal(mask, expected)


def test_a_hidden_tubelet_shows_nothing_and_the_others_everything() -> None:
    rng = np.random.default_rng(0)
    clips = rng.uniform(0, 90, (2, 3, 4, 32, 48)).astype(np.float32)
    mask = np.zeros((2, 2 * 2 * 3), bool)
    mask[1, 1 * 6 + 1 * 3 + 2] = True  # the second pair of frames, the lower row, on the right
    hidden = hide_tubelets(clips, mask)
    np.testing.assert_array_equal(hidden[1, :, 2:4, 16:, 32:], 100)
    changed = hidden != clips
    assert changed.sum() == 3 * 2 * 16 * 16
    assert changed[1, :, 2:4, 16:, 32:].all()


def test_bands_and_times_are_hidden() -> None:
    bands = np.random.default_rng(0).normal(size=(200, 128)).astype(np.float32)
    rng, runs = np.random.default_rng(1), []
    for _ in range(50):
        hidden = spec_augment(bands, rng, widest=24, longest=60) != bands
        runs.append((hidden.all(0).sum(), hidden.all(1).sum()))
        assert hidden.sum() == runs[-1][0] * 200 + runs[-1][1] * 128 - np.prod(runs[-1])
    widths, lengths = np.transpose(runs)
    assert (widths.max(), lengths.max()) <= (24, 60)
    assert min(np.ptp(widths), np.ptp(lengths)) > 12
    silent = spec_augment(bands, rng, widest=128, longest=200)
    np.testing.assert_array_equal(silent[silent != bands], normalise(np.zeros(1, np.float32))[0])
    np.testing.assert_array_equal(spec_augment(bands, rng, widest=0, longest=0), bands)


LEXICON = Lexicon(
    {
        "glad": Meaning("joy", 0.6),
        "ecstatic": Meaning("joy", 1.0),
        "content": Meaning("joy", 0.55),
        "wow": Meaning("surprise", 0.5),
        "grief": Meaning("sadness", -0.8),
        "fine": Meaning("", 0.5),
    },
    tolerance=0.3,
)


def test_emotional_words_stay_if_sentiment_class_and_degree_fit() -> None:
    texts = ["Glad, content, fine!", "what grief, wow", "ecstatic table"]
    checked = LEXICON.checked(texts, "joy", positive=True)
    # The mean degree is 0.66: "ecstatic" is 0.34 off.
    assert checked == ["glad , content , fine !", "what ,", "table"]
    assert LEXICON.checked(texts, "sadness", positive=False)[1] == "what grief ,"
    # Without a polarity a word of no class is believed.
    assert LEXICON.checked(["fine wow"], "sadness", positive=None) == ["fine"]


def test_a_lexicon_is_read_or_its_fault_named(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("word,emotion,degree\nGlad,Joy,0.6\nfine,,0.5\n")
    assert Lexicon.read(path, 0.3).checked(["glad grief fine"], "fear", None) == ["grief fine"]
    path.write_text("word,emotion,degree\nglad,joy,0.6\nsad,sadness,-7\n")
    with pytest.raises(SourceError, match=r"words\.csv: line 3: degree: '-7'"):
        Lexicon.read(path, 0.3)
    path.write_text("word,degree\n")
    with pytest.raises(SourceError, match="word,emotion,degree"):
        Lexicon.read(path, 0.3)
    with pytest.raises(SourceError, match="can't be read"):
        Lexicon.read(tmp_path / "none.csv", 0.3)


def _clip(subtitles: Path | None, rate: float | None = 10.0) -> Clip:
    return Clip("a", 0, Path("a"), None, 40, rate, subtitles)


def test_words_belong_to_the_segments_in_which_they_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text("1\n00:00:01,200 --> 00:00:01,800\nso glad\n")
    assert spoken(_clip(path), 4) == ["", " so glad", "", ""]
    assert spoken(_clip(path, None), 3) == ["", "", " so glad"]  # as long as the subtitles
    assert spoken(_clip(None), 2) == ["", ""]
    words = Script(ByteTokenizer(), 12, LEXICON).read(_clip(path), 4, "joy", positive=True)
    assert words.numbers.shape == words.present.shape == (4, 12)
    np.testing.assert_array_equal(words.said, [False, True, False, False])
    np.testing.assert_array_equal(words.present.sum(1), [2, 9, 2, 2])
    against = Script(ByteTokenizer(), 12, LEXICON).read(_clip(path), 4, "fear", positive=False)
    np.testing.assert_array_equal(against.present.sum(1), [2, 4, 2, 2])

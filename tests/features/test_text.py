"""Subtitles to segments, and texts to numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import SourceError
from jack_stream.features.subtitles import Subtitle, parse_srt, read_srt, segment_texts
from jack_stream.features.wordpiece import ByteTokenizer, WordPiece, batch, split_words

SRT = """1
00:00:00,000 --> 00:00:02,400
<i>One</i> and
two

2
00:00:12,000 --> 01:00:12,5
{\\an8}four


3
00:00:02.500 --> 00:00:09.000 X1:100
three

4
00:00:13,000 --> 00:00:14,000

"""


def test_segments_are_those_of_the_released_code(shared: Path) -> None:
    golden = json.loads((shared / "golden" / "mart_srt.json").read_text())
    subtitles = [Subtitle(line["start"], line["end"], line["text"]) for line in golden["srt"]]
    texts = segment_texts(subtitles, golden["segments"], golden["total_ms"])
    assert texts == golden["result"]


def test_subrip(tmp_path: Path) -> None:
    expected = [
        Subtitle(0, 2400, "One and two"),
        Subtitle(2500, 9000, "three"),
        Subtitle(12_000, 3_612_500, "four"),
    ]
    assert parse_srt(SRT) == expected
    assert parse_srt("\ufeff" + SRT.replace("\n", "\r\n")) == expected
    assert parse_srt("") == []
    (tmp_path / "a.srt").write_text(SRT, encoding="utf-8-sig")
    assert read_srt(tmp_path / "a.srt") == expected


def test_malformed_subtitles_are_named(tmp_path: Path) -> None:
    for text, message in [
        ("1\nhello\n", r"block 1: 'hello' are no times"),
        ("1\n00:00:02,000 --> 00:00:01,000\nx\n", "ends before it starts"),
        ("1\n00:00:61,000 --> 00:01:01,000\nx\n", "no times"),
    ]:
        with pytest.raises(SourceError, match=message):
            parse_srt(text)
    (tmp_path / "a.srt").write_bytes(b"1\n00:00:00,000 --> 00:00:01,000\n\xff\xfe\n")
    with pytest.raises(SourceError, match=r"a\.srt: not UTF-8"):
        read_srt(tmp_path / "a.srt")
    with pytest.raises(SourceError, match="can't be read"):
        read_srt(tmp_path / "none.srt")


@settings(deadline=None)
@given(st.text())
def test_any_text_is_subtitles_or_an_error(text: str) -> None:
    try:
        subtitles = parse_srt(text)
    except SourceError:
        return
    assert all(line.text and line.start_ms <= line.end_ms for line in subtitles)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 900), st.integers(1, 200)), max_size=5),
    st.integers(1, 9),
)
def test_every_subtitle_within_the_video_has_a_segment(
    lines: list[tuple[int, int]], segments: int
) -> None:
    subtitles = [
        Subtitle(start, start + length, f"word{n}") for n, (start, length) in enumerate(lines)
    ]
    texts = segment_texts(subtitles, segments, 1000)
    for n, subtitle in enumerate(subtitles):
        found = [index for index, text in enumerate(texts) if f"word{n}" in text.split()]
        assert found == list(range(found[0], found[-1] + 1))
        assert found[0] * 1000 / segments <= subtitle.start_ms < (found[0] + 1) * 1000 / segments


VOCABULARY = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
    *("the", "quick", "##est", "un", "##aff", "##able", "!", ",", "'", "don", "t"),
    *("你", "好", "cafe", "naive"),
]


def test_word_pieces() -> None:
    words = WordPiece(VOCABULARY)

    def pieces(text: str) -> str:
        return " ".join(VOCABULARY[number] for number in words.encode(text))

    assert pieces("The quickest!") == "[CLS] the quick ##est ! [SEP]"
    assert pieces("UNAFFABLE, unaffordable") == "[CLS] un ##aff ##able , [UNK] [SEP]"
    assert pieces("don't") == "[CLS] don ' t [SEP]"
    assert pieces("你好Café  na\u00efve\u200b") == "[CLS] 你 好 cafe naive [SEP]"
    assert pieces("the" + "x" * 200) == "[CLS] [UNK] [SEP]"
    assert pieces("") == "[CLS] [SEP]"


def test_a_vocabulary_file(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    words = WordPiece.from_file(tmp_path / "vocab.txt")
    assert words.size == len(VOCABULARY)
    assert words.encode("the") == [2, 4, 3]
    (tmp_path / "bad.txt").write_text("a\nb\n")
    with pytest.raises(SourceError, match=r"no \[CLS\], \[PAD\], \[SEP\], \[UNK\]"):
        WordPiece.from_file(tmp_path / "bad.txt")
    with pytest.raises(SourceError, match=r"none\.txt"):
        WordPiece.from_file(tmp_path / "none.txt")


def test_batches_are_padded_and_cut() -> None:
    words = WordPiece(VOCABULARY)
    numbers, present = batch(words, ["the", "the the the the", ""], longest=5)
    np.testing.assert_array_equal(numbers, [[2, 4, 3, 0, 0], [2, 4, 4, 4, 3], [2, 3, 0, 0, 0]])
    np.testing.assert_array_equal(present, [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])


@settings(deadline=None)
@given(st.text())
def test_bytes_can_be_read_back(text: str) -> None:
    numbers = ByteTokenizer().encode(text)
    assert bytes(number - 3 for number in numbers[1:-1]).decode() == text
    assert all(0 < number < ByteTokenizer.size for number in numbers)


@settings(deadline=None)
@given(st.text())
def test_words_are_lower_case_and_without_spaces(text: str) -> None:
    for word in split_words(text):
        assert word
        assert not any(character.isspace() for character in word)

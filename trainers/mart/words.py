"""What is said in each segment of a clip, which words of it are believed, and their numbers."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jack_stream.errors import SourceError
from jack_stream.features.subtitles import read_srt, segment_texts
from jack_stream.features.wordpiece import Tokenizer, batch, split_words
from trainers.data.clips import Clip

__all__ = ["Lexicon", "Meaning", "Script", "Words", "spoken"]


@dataclass(frozen=True)
class Words:
    """The words of a clip's segments as BERT takes them.

    Attributes:
        numbers: int32 [S, W], padded to the same W for every clip.
        present: float32 [S, W], 0 where a text is padded.
        said: bool [S], the segments in which something is said.
    """

    numbers: npt.NDArray[np.int32]
    present: npt.NDArray[np.float32]
    said: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Meaning:
    """What a lexicon says of an emotional word.

    Attributes:
        emotion: its class, in lower case; empty where it is of none.
        degree: -1 (negative) to 1 (positive).
    """

    emotion: str
    degree: float


class Lexicon:
    """Emotional words, and the check of MART, Section 3.2, which of them fit a video.

    An emotional word stays in a text if (E1) its sentiment is that of the video's class, (E2) its
    class is the video's, (E3) its degree is near the video's. No data set says what a video's
    degree is; here it is the mean degree of the video's own words that pass E1 and E2.

    Args:
        meanings: of the emotional words, in lower case.
        tolerance: tau, how far a degree may be off.
    """

    def __init__(self, meanings: Mapping[str, Meaning], tolerance: float) -> None:
        self._meanings, self._tolerance = meanings, tolerance

    @classmethod
    def read(cls, path: Path, tolerance: float) -> Lexicon:
        """Read a CSV file with the columns ``word,emotion,degree``.

        Raises:
            SourceError: it can't be read or is wrong; the message names file, line and value.
        """
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file, strict=True)
                if not {"word", "emotion", "degree"} <= set(rows.fieldnames or ()):
                    raise SourceError(
                        f"{path}: its first line must name the columns word,emotion,degree"
                    )
                meanings = {
                    (row["word"] or "").strip().lower(): Meaning(
                        (row["emotion"] or "").strip().lower(),
                        _degree(row["degree"], f"{path}: line {rows.line_num}"),
                    )
                    for row in rows
                }
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SourceError(f"{path}: can't be read as a lexicon: {error}") from error
        return cls(meanings, tolerance)

    def checked(self, texts: Sequence[str], label: str, positive: bool | None) -> list[str]:
        """A video's texts without the emotional words that do not fit it.

        Args:
            texts: of its segments.
            label: its class, in lower case.
            positive: whether that class is; None where nobody knows, which leaves E1 out.
        """
        words = [split_words(text) for text in texts]
        fitting = {
            word: meaning
            for word in {word for some in words for word in some}
            if (meaning := self._meanings.get(word)) is not None
            and (positive is None or (meaning.degree > 0) == positive)
            and meaning.emotion in (label, "")
        }
        if fitting:
            degree = float(np.mean([abs(meaning.degree) for meaning in fitting.values()]))
            fitting = {
                word: meaning
                for word, meaning in fitting.items()
                if abs(abs(meaning.degree) - degree) < self._tolerance
            }
        return [
            " ".join(word for word in some if word not in self._meanings or word in fitting)
            for some in words
        ]


class Script:
    """Reads clips' subtitles.

    Args:
        tokenizer: BERT's.
        longest: word pieces of a segment; what is longer is cut.
        lexicon: checks the words; None believes them all.

    Attributes:
        vocabulary: how many word pieces there are.
    """

    def __init__(self, tokenizer: Tokenizer, longest: int, lexicon: Lexicon | None) -> None:
        self.vocabulary = tokenizer.size
        self._tokenizer, self._longest, self._lexicon = tokenizer, longest, lexicon

    def read(self, clip: Clip, segments: int, label: str, positive: bool | None) -> Words:
        """The words of a clip's equal parts; a clip without subtitles has none.

        Raises:
            SourceError: its subtitles can't be read.
        """
        texts = spoken(clip, segments)
        if self._lexicon is not None:
            texts = self._lexicon.checked(texts, label, positive)
        numbers, present = batch(self._tokenizer, texts, self._longest)
        spare = ((0, 0), (0, self._longest - numbers.shape[1]))
        return Words(
            np.pad(numbers, spare, constant_values=self._tokenizer.padding),
            np.pad(present, spare),
            np.array([bool(text.strip()) for text in texts]),
        )


def spoken(clip: Clip, segments: int) -> list[str]:
    """What is said in each of a clip's equal parts; its length is that of the subtitles if unknown.

    Raises:
        SourceError: the subtitles can't be read.
    """
    if clip.subtitles is None:
        return [""] * segments
    subtitles = read_srt(clip.subtitles)
    if clip.frame_rate_hz is not None:
        total_ms = 1000 * clip.n_frames / clip.frame_rate_hz
    else:
        total_ms = max((line.end_ms for line in subtitles), default=1)
    return segment_texts(subtitles, segments, total_ms)


def _degree(text: str | None, where: str) -> float:
    try:
        degree = float(text or "")
    except ValueError:
        degree = float("nan")
    if not -1 <= degree <= 1:
        raise SourceError(f"{where}: degree: {str(text)[:40]!a} is no number from -1 to 1")
    return degree

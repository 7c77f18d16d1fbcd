"""Texts to the numbers that BERT reads (Devlin et al., NAACL 2019), without a download.

``WordPiece`` does what BERT's uncased tokenizer does, given its vocabulary file (``vocab.txt``, one
piece a line), which belongs to the weights. ``ByteTokenizer`` needs no file at all: a number for
each byte. It splits nothing into words, so only an encoder that was trained with it understands it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from jack_stream.errors import SourceError

__all__ = ["ByteTokenizer", "Tokenizer", "WordPiece", "batch"]

_MAX_WORD = 100


class Tokenizer(Protocol):
    """Text to numbers."""

    size: int
    padding: int

    def encode(self, text: str) -> list[int]:
        """The numbers of a text, with the marks of its beginning and end."""


class WordPiece:
    """BERT's uncased tokenizer.

    Args:
        pieces: the vocabulary in the order of the numbers; ``##`` begins a piece inside a word.

    Attributes:
        size: number of pieces.
        padding: the number that fills short texts up.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(pieces)}
        missing = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"} - self._numbers.keys()
        if missing:
            raise SourceError(
                f"the vocabulary has no {', '.join(sorted(missing))}",
                hint="It must be the vocab.txt of a BERT model.",
            )
        self.size = len(pieces)
        self.padding = self._numbers["[PAD]"]

    @classmethod
    def from_file(cls, path: Path) -> WordPiece:
        """Read a ``vocab.txt``.

        Raises:
            SourceError: the file can't be read or lacks BERT's marks.
        """
        try:
            return cls(path.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{path}: can't be read as a vocabulary: {error}") from error

    def encode(self, text: str) -> list[int]:
        """``[CLS]``, the pieces, ``[SEP]``."""
        pieces = [number for word in split_words(text) for number in self._pieces(word)]
        return [self._numbers["[CLS]"], *pieces, self._numbers["[SEP]"]]

    def _pieces(self, word: str) -> list[int]:
        """The longest piece that fits, again and again; a word that does not end so is unknown."""
        unknown = [self._numbers["[UNK]"]]
        if len(word) > _MAX_WORD:
            return unknown
        numbers: list[int] = []
        begin = 0
        while begin < len(word):
            mark = "##" if begin else ""
            ends = range(len(word), begin, -1)
            end = next((e for e in ends if mark + word[begin:e] in self._numbers), None)
            if end is None:
                return unknown
            numbers.append(self._numbers[mark + word[begin:end]])
            begin = end
        return numbers


class ByteTokenizer:
    """UTF-8 bytes as numbers 3..258; 0 pads, 1 begins, 2 ends."""

    size = 259
    padding = 0

    def encode(self, text: str) -> list[int]:
        """1, the bytes, 2."""
        return [1, *(3 + byte for byte in text.encode()), 2]


def batch(
    tokenizer: Tokenizer, texts: Sequence[str], longest: int = 512
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Texts as one array.

    Args:
        tokenizer: of the encoder.
        texts: N of them.
        longest: longer ones lose what is before their last number.

    Returns:
        Numbers int32 [N, W], and float32 [N, W] with 1 where a text is and 0 where it is padded.
    """
    rows = [tokenizer.encode(text) for text in texts]
    rows = [row if len(row) <= longest else [*row[: longest - 1], row[-1]] for row in rows]
    width = max((len(row) for row in rows), default=0)
    numbers = np.full((len(rows), width), tokenizer.padding, np.int32)
    present = np.zeros((len(rows), width), np.float32)
    for index, row in enumerate(rows):
        numbers[index, : len(row)] = row
        present[index, : len(row)] = 1
    return numbers, present


def split_words(text: str) -> list[str]:
    """BERT's basic tokenization: lower case, no accents, punctuation and CJK characters alone."""
    spaced = []
    for character in text:
        category = unicodedata.category(character)
        if character in "\t\n\r" or category == "Zs":
            spaced.append(" ")
        elif character in ("\0", "\ufffd") or category in ("Cc", "Cf", "Cs", "Co"):
            continue
        else:
            spaced.append(f" {character} " if _is_cjk(character) else character)
    folded = unicodedata.normalize("NFD", "".join(spaced).lower())
    plain = "".join(c for c in folded if unicodedata.category(c) != "Mn")
    return "".join(f" {c} " if _is_punctuation(c) else c for c in plain).split()


def _is_punctuation(character: str) -> bool:
    ascii_symbol = character.isascii() and character.isprintable() and not character.isalnum()
    return (ascii_symbol and character != " ") or unicodedata.category(character).startswith("P")


def _is_cjk(character: str) -> bool:
    code = ord(character)
    return any(first <= code <= last for first, last in _CJK)


_CJK = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)

"""Wire messages that are wrong in every way that a seed can think of."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import msgspec

from jack_stream.wire.codec import encode
from tests.wire.make_fixtures import messages

__all__ = ["Mutator", "outcome"]

_MAX_CORPUS = 400
_BOMB_BYTES = 60_000
_HOSTILE: list[Any] = [
    *(-1, 0, 1, 2, 255, 2**31 - 1, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
    *(-(2**63), 0.0, -0.0, 1e308, float("nan"), float("inf"), float("-inf"), 1e-320),
    *(None, True, False, "", "x", "\0", "../../etc/passwd", "door\n", "a" * 65, "ü" * 40),
    *("frame", "health", "uint8", "float32", "float64", "object", "|O", b"", b"\xff" * 40),
    *([], [0], [1, 1, 3], [-1, -1, 3], [2**31, 2**31, 3], [2**40], [1] * 5000, {}, {"a": 1}),
]
_BOMBS = [
    b"\x91" * _BOMB_BYTES,  # arrays in arrays
    b"\x81\xa1a" * (_BOMB_BYTES // 3),  # maps in maps
    b"\xdd\xff\xff\xff\xff",  # an array of four thousand million items
    b"\xdf\xff\xff\xff\xff",  # a map of as many
    b"\xdb\xff\xff\xff\xff",  # a text of four gigabytes
    b"\xc6\xff\xff\xff\xff",  # as many bytes
    b"\xde\xff\xff" + b"\xa1a\x01" * 20_000,  # one key again and again
    b"\x81\xa4type\xa5frame" + b"\xc1" * 100,
    b"\xc9\xff\xff\xff\xff\x01",  # an extension
]


def outcome(error: Exception | None, parts: list[bytes]) -> str:
    """What became of a message, without its numbers: a new one is worth keeping."""
    if error is None:
        return f"good {parts[0].partition(b'.')[0]!r}"
    return re.sub(r"'[^']*'|\"[^\"]*\"|-?\d+", "_", str(error))[:120]


class Mutator:
    """Makes messages out of good ones, and out of those that led somewhere new.

    Args:
        seed: the same one gives the same messages.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.good = [[bytes(part) for part in encode(m)] for m in messages().values()]
        self.corpus = [list(parts) for parts in self.good]
        self._seq = 0
        self._now_ns = 1_790_000_000_000_000_000
        self.outcomes: dict[str, int] = {}
        self._ways: list[Callable[[list[bytes]], None]] = [
            *([self._change_field] * 6),
            *(self._change_nested, self._drop_field, self._add_field, self._bomb),
            *([self._flip] * 3),
            *(self._cut, self._grow, self._splice, self._move_parts, self._fill_array),
            self._retitle,
        ]

    def make(self) -> list[bytes]:
        """A message: mostly one to three changes to a known one."""
        if self.random.random() < 0.4:
            parts = self._plausible()
            changes = (0, 0, 1, 1, 2)
        else:
            parts = list(self.random.choice(self.corpus))
            changes = (1, 1, 1, 1, 2, 2, 3)
        for _ in range(self.random.choice(changes)):
            self.random.choice(self._ways)(parts)
        return parts or [b""]

    def _plausible(self) -> list[bytes]:
        """A good message with a number and a time that follow on, or now and then leap."""
        parts = list(self.random.choice(self.good))
        header = self._header(parts)
        self._seq += 1
        self._now_ns += self.random.choice((0, 10**6, 10**7, 10**8))
        if self.random.random() < 0.001:
            self._now_ns = self.random.randrange(2**62)
        session = self.random.choice(("a", "a", "a", self.random.randbytes(4).hex()))
        header |= {"seq": self._seq, "captured_at_ns": self._now_ns, "session": session}
        self._put(parts, header)
        return parts

    def learn(self, parts: list[bytes], seen: str) -> None:
        """Keep a message whose outcome was not seen before."""
        self.outcomes[seen] = self.outcomes.get(seen, 0) + 1
        small = sum(map(len, parts)) < _BOMB_BYTES
        if self.outcomes[seen] == 1 and len(self.corpus) < _MAX_CORPUS and small:
            self.corpus.append(parts)

    def _header(self, parts: list[bytes]) -> dict[str, Any]:
        try:
            header = msgspec.msgpack.decode(parts[1])
        except (IndexError, ValueError, RecursionError):
            return {}
        return header if isinstance(header, dict) else {}

    def _put(self, parts: list[bytes], header: dict[str, Any]) -> None:
        parts[1:2] = [msgspec.msgpack.encode(header)]

    def _change_field(self, parts: list[bytes]) -> None:
        if header := self._header(parts):
            header[self.random.choice(list(header))] = self._value()
            self._put(parts, header)

    def _change_nested(self, parts: list[bytes]) -> None:
        header = self._header(parts)
        lists = [value for value in header.values() if isinstance(value, list) and value]
        if lists:
            chosen = self.random.choice(lists)
            chosen[self.random.randrange(len(chosen))] = self._value()
            self._put(parts, header)

    def _drop_field(self, parts: list[bytes]) -> None:
        if header := self._header(parts):
            del header[self.random.choice(list(header))]
            self._put(parts, header)

    def _add_field(self, parts: list[bytes]) -> None:
        if header := self._header(parts):
            header[self.random.choice(("lens", "", "a" * 300, "counters", "shape"))] = self._value()
            self._put(parts, header)

    def _value(self) -> Any:
        if self.random.random() < 0.3:
            return self.random.randint(-300, 300)
        return self.random.choice(_HOSTILE)

    def _bomb(self, parts: list[bytes]) -> None:
        parts[1:2] = [self.random.choice(_BOMBS)]

    def _flip(self, parts: list[bytes]) -> None:
        where = self._pick(parts)
        data = bytearray(parts[where])
        for _ in range(self.random.choice((1, 1, 2, 8)) if data else 0):
            data[self.random.randrange(len(data))] = self.random.randrange(256)
        parts[where] = bytes(data)

    def _cut(self, parts: list[bytes]) -> None:
        where = self._pick(parts)
        parts[where] = parts[where][: self.random.randint(0, len(parts[where]))]

    def _grow(self, parts: list[bytes]) -> None:
        where = self._pick(parts)
        parts[where] += self.random.randbytes(self.random.choice((1, 4, 100)))

    def _splice(self, parts: list[bytes]) -> None:
        other = self.random.choice(self.corpus)
        parts[1:] = other[1:]

    def _move_parts(self, parts: list[bytes]) -> None:
        where = self._pick(parts)
        way = self.random.randrange(4)
        if way == 0 and len(parts) > 1:
            del parts[where]
        elif way == 1:
            parts.insert(where, parts[where])
        elif way == 2:
            self.random.shuffle(parts)
        else:
            parts += [b""] * self.random.choice((1, 3, 50))

    def _fill_array(self, parts: list[bytes]) -> None:
        for where in range(2, len(parts)):
            value = self.random.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f"))
            parts[where] = (value * (len(parts[where]) // 4 + 1))[: len(parts[where])]

    def _retitle(self, parts: list[bytes]) -> None:
        kinds = (b"frame.", b"audio.", b"pose.", b"end.", b"health.", b"hello.", b"bye.", b"")
        parts[0] = self.random.choice(kinds) + self.random.choice((b"door", b"", b"a" * 300, b"\0"))

    def _pick(self, parts: list[bytes]) -> int:
        if not parts:
            parts.append(b"")
        return self.random.randrange(len(parts))

"""What the journal keeps of a stretch of time, for scrolling back."""

from __future__ import annotations

from collections.abc import Mapping

from jack_stream.config import Config
from jack_stream.errors import UsageError
from jack_stream.events.journal_reader import JournalReader

__all__ = ["History"]

_MOST = 5000


class History:
    """Looks events up in the journal's file.

    Args:
        config: names the journal.
    """

    def __init__(self, config: Config) -> None:
        self._config = config

    def find(self, asked: Mapping[str, str]) -> bytes:
        """The events and alerts of a stream from a time on, as JSON lines.

        Args:
            asked: ``stream``, ``since_ns`` (of publication, Unix time) and perhaps ``limit``.

        Raises:
            UsageError: what is asked for is not there, or no number.
            JournalError: there is no journal, or it can't be read.
        """
        stream = asked.get("stream", "")
        if stream not in {one.name for one in self._config.streams}:
            raise UsageError(f"there is no stream {stream[:64]!r}")
        since_ns = _number(asked, "since_ns", 0)
        limit = min(_number(asked, "limit", _MOST), _MOST)
        found: list[bytes] = []
        with JournalReader(self._config.journal_path) as journal:
            at = journal.first_since(since_ns) - 1
            while at < journal.head and len(found) < limit:
                page = journal.page(at, stream=stream, alerts=True, limit=limit - len(found))
                found += page.events
                at = page.up_to
        return b"".join(line + b"\n" for line in found)


def _number(asked: Mapping[str, str], name: str, otherwise: int) -> int:
    text = asked.get(name, str(otherwise))
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise UsageError(f"{name}={text[:32]!r} is no number")
    return int(text)

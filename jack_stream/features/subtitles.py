"""What was said in each segment of a video, from its subtitles (SubRip, ``.srt``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jack_stream.errors import SourceError

__all__ = ["Subtitle", "parse_srt", "read_srt", "segment_texts"]

_TIME = r"(\d+):([0-5]?\d):([0-5]?\d)[,.](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}.*")
_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Subtitle:
    """A line and when it is shown; times in milliseconds from the video's start."""

    start_ms: int
    end_ms: int
    text: str


def parse_srt(text: str, source: str = "subtitles") -> list[Subtitle]:
    """Read SubRip text: blocks of a number, two times, and lines.

    Numbers may be missing, times may be out of order (they are sorted), markup is removed; blocks
    without text are left out.

    Args:
        text: the file's content.
        source: its name, for the message.

    Raises:
        SourceError: a block has no times, or ends before it starts.
    """
    subtitles = []
    cleaned = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for number, block in enumerate(re.split(r"\n\s*\n", cleaned.strip()), start=1):
        lines = block.strip().split("\n")
        if lines[0].strip().isdigit():
            lines = lines[1:]
        if not any(lines):
            continue
        times = _TIMES.fullmatch(lines[0])
        if times is None:
            raise SourceError(
                f"{source}: block {number}: {lines[0][:60]!r} are no times",
                hint="They look like 00:01:02,500 --> 00:01:04,000",
            )
        start, end = _milliseconds(times.groups()[:4]), _milliseconds(times.groups()[4:])
        if end < start:
            raise SourceError(f"{source}: block {number} ends before it starts: {lines[0][:60]!r}")
        spoken = " ".join(_MARKUP.sub("", " ".join(lines[1:])).split())
        if spoken:
            subtitles.append(Subtitle(start, end, spoken))
    return sorted(subtitles, key=lambda line: (line.start_ms, line.end_ms))


def read_srt(path: Path) -> list[Subtitle]:
    """Read a ``.srt`` file in UTF-8 (with or without a byte-order mark).

    Raises:
        SourceError: the file can't be read, is too large, or is malformed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: can't be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise SourceError(f"{path}: {len(data)} bytes; subtitles have at most {_MAX_BYTES}")
    try:
        return parse_srt(data.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path}: not UTF-8 text: {error}", hint="Convert it, for example with iconv."
        ) from error


def segment_texts(subtitles: list[Subtitle], segments: int, total_ms: float) -> list[str]:
    """The words of each of ``segments`` equal parts of a video.

    A subtitle belongs to every segment that it is shown in, if only for a moment; a space stands
    before each one, as in the released code of MART.

    Args:
        subtitles: in order.
        segments: number of parts.
        total_ms: the video's length.
    """
    texts = [""] * segments
    for subtitle in subtitles:
        for index in range(segments):
            begin, end = index * total_ms / segments, (index + 1) * total_ms / segments
            if subtitle.start_ms < end and subtitle.end_ms > begin:
                texts[index] += " " + subtitle.text
    return texts


def _milliseconds(parts: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    return whole * 1000 + int(fraction.ljust(3, "0"))

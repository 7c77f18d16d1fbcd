"""Which training videos are held out."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from trainers.data.tsl300 import SentimentVideo

__all__ = ["divide"]

_Videos = tuple[SentimentVideo, ...]


def divide(videos: Sequence[SentimentVideo], share: float) -> tuple[_Videos, _Videos]:
    """Those to learn from and those to choose by, the same in every run; names alone decide.

    Only videos with annotated segments can be chosen by; of more than one video at least one is.
    """
    order = sorted((v for v in videos if v.segments), key=lambda v: zlib.crc32(v.name.encode()))
    held_out = {video.name for video in order[: max(1, round(share * len(videos)))]}
    return (
        tuple(video for video in videos if video.name not in held_out),
        tuple(video for video in videos if video.name in held_out),
    )

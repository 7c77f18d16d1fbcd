"""Which addresses and files FFmpeg may open, and nothing that these may lead it to besides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from jack_stream.capture.redact import redact
from jack_stream.errors import SourceError

__all__ = ["MAX_PIXELS", "SCHEMES", "check_address", "is_address", "openable"]

MAX_PIXELS = 40_000_000
"""Of one picture, decoded: more than 8K (7680 x 4320) has."""
SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt", "http", "https")

_PROTOCOLS = (*SCHEMES, "rtmpt", "srtp", "tcp", "tls", "httpproxy", "crypto")
# Containers that hold their own content. What only refers to other files or addresses (playlists,
# concat scripts, SDP, DASH) is left out, and so is what FFmpeg knows only for old games.
_CONTAINERS = (
    *("mov", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg"),
    *("m4v", "h264", "hevc", "obu", "ivf", "mjpeg", "mpjpeg", "dv", "mxf", "nut", "gif", "apng"),
    *("yuv4mpegpipe", "rm", "wav", "w64", "aiff", "caf", "au", "flac", "mp3", "aac", "ac3"),
    *("eac3", "amr", "ape", "wv", "tta"),
)
_STREAMED = (*_CONTAINERS, "live_flv", "hls", "rtsp", "rtp")
_LIMITS = MappingProxyType({"max_pixels": str(MAX_PIXELS), "max_streams": "64"})


def is_address(source: str) -> bool:
    """Whether it is a URL rather than a path or a device."""
    return "://" in source


def check_address(source: str) -> str:
    """Return an address if it is of a kind that is a camera's or a stream's.

    Raises:
        SourceError: another scheme (``file:``, ``concat:``, ...), or characters that no address
            has.
    """
    scheme = source.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise SourceError(
            f"{redact(source)}: addresses of the kind {scheme[:40]!r} are not opened",
            hint=f"Known are {', '.join(SCHEMES)}; a file is named by its path.",
        )
    if not source.isprintable() or " " in source:
        raise SourceError(
            f"{redact(source)!r}: an address has no spaces and no control characters",
            hint="Write %20 for a space.",
        )
    return source


def openable(source: str) -> tuple[str, Mapping[str, str]]:
    """What to give to :func:`av.open`: an unambiguous address or path, and options that bind it.

    A path is never taken for an address or an option, whatever it looks like; an address never
    leads to a file, also not by a redirection or in a playlist.

    Raises:
        SourceError: an address that is not to be opened.
    """
    if is_address(source):
        kinds = {
            "protocol_whitelist": ",".join(_PROTOCOLS),
            "format_whitelist": ",".join(_STREAMED),
        }
        return check_address(source), _LIMITS | kinds
    kinds = {"protocol_whitelist": "file", "format_whitelist": ",".join(_CONTAINERS)}
    return f"file:{Path(source).absolute()}", _LIMITS | kinds

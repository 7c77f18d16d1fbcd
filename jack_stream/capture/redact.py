"""Addresses without their secrets, for logs, errors and health."""

from __future__ import annotations

import re

__all__ = ["redact"]

# The second form is a password with an unencoded slash; digits and a slash are a port.
_USER = re.compile(r"(?<=://)(?:[^\s/?#:]+:(?!\d+/)\S+|[^\s/?#]+)(?=@)")
_SECRET_PARAMETER = re.compile(
    r"(?P<name>[?&;][^=&;\s]*(?:pass|pwd|token|secret|key|auth|sig)[^=&;\s]*=)[^&;#\s'\"]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Replace user names, passwords and secret-looking query values in every URL of a text.

    >>> redact("rtsp://admin:s3cret@10.0.0.7/live?token=abc&channel=1")
    'rtsp://***@10.0.0.7/live?token=***&channel=1'
    """
    return _SECRET_PARAMETER.sub(r"\g<name>***", _USER.sub("***", text))
